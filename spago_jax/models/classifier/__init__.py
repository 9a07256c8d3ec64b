# SPDX-License-Identifier: BSD-2-Clause
"""Classifiers: an MLP for images; mean of embeddings, CNN and BiLSTM for text."""
