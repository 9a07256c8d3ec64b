# SPDX-License-Identifier: BSD-2-Clause
"""Tokenizers: one interface, from a text to tokens with their places in it."""
