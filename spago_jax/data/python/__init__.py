# SPDX-License-Identifier: BSD-2-Clause
"""Python source as a corpus: its tokens, and their roles in the syntax tree."""
