# SPDX-License-Identifier: BSD-2-Clause
"""Abstractive question answering: an answer that is written, from passages that are read."""
