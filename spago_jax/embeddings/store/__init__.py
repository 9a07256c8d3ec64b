# SPDX-License-Identifier: BSD-2-Clause
"""Stores of vectors on disk: any number of words, with rows that can be trained. Needs NumPy alone."""
