# SPDX-License-Identifier: BSD-2-Clause
"""Flair's model files, read without Flair or PyTorch, and without running what is in them."""
