# SPDX-License-Identifier: BSD-2-Clause
"""Paraphrasing: the same in other words."""
