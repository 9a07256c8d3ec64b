# SPDX-License-Identifier: BSD-2-Clause
"""Token classification: entities (spans of tokens), or one tag per token (parts of speech, roles)."""
