# SPDX-License-Identifier: BSD-2-Clause
"""Tokenizers: one protocol, from a text to tokens with their places in it."""
