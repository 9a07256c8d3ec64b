# SPDX-License-Identifier: BSD-2-Clause
"""The formats of files of word vectors: text and binary ones of word2vec and GloVe, gensim, fastText, floret, BPEmb."""
