# SPDX-License-Identifier: BSD-2-Clause
"""Texts written for other texts by an encoder-decoder: what translation, summaries and their like have in common."""
