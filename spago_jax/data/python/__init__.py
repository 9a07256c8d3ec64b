# SPDX-License-Identifier: BSD-2-Clause
"""Python source as a corpus: its tokens, and their roles as the syntax tree tells them."""
