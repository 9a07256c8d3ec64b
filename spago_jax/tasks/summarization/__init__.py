# SPDX-License-Identifier: BSD-2-Clause
"""Summarization: what a longer text says, in fewer words."""
