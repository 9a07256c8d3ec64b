# SPDX-License-Identifier: BSD-2-Clause
"""Readers of file formats: one module per format, from files to typed examples, independent of any model."""
