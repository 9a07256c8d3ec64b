# SPDX-License-Identifier: BSD-2-Clause
"""``fill-mask``: the words that may stand at the masks of a text."""
