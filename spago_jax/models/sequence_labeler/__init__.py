# SPDX-License-Identifier: BSD-2-Clause
"""A tagger: word vectors, character encoder, stacked BiLSTM, CRF or softmax."""
