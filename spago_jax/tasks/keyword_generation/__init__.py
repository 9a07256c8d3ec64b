# SPDX-License-Identifier: BSD-2-Clause
"""Keyword generation: the keywords that suit a text, whether they stand in it or not."""
