# SPDX-License-Identifier: BSD-2-Clause
"""Text generation: a language model of characters, which reads a text and writes on from it."""
