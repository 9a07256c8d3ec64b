# SPDX-License-Identifier: BSD-2-Clause
"""Readers, corpora encoded once into memory-mapped arrays, and batches with a position that can be saved.

Host code: arrays here are NumPy's.
"""
