# SPDX-License-Identifier: BSD-2-Clause
"""Reading word vectors of every format into memory; only the wanted words are kept."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from spago_jax.embeddings.formats.read import read_into
from spago_jax.embeddings.formats.rows import Rows
from spago_jax.embeddings.word_vectors import WordVectors

__all__ = ["read_word_vectors"]


def read_word_vectors(
    path: str | Path,
    vocabulary: Collection[str] | None = None,
    *,
    dtype: DTypeLike = np.float32,
    lowercase: bool = False,
    format: str | None = None,
) -> WordVectors:
    """Reads word vectors in a stream, keeping the wanted words only.

    In text files a word may hold blanks (as some of GloVe's 840B): the last d fields are the vector. A word that comes
    again, and an empty one, is passed over and counted. A word that is not UTF-8 is kept, counted, and found by its
    bytes.

    Args:
        path: the file; ``.gz`` is decompressed, and a ``.zip`` of one file.
        vocabulary: the words to keep, or None for all.
        dtype: the type of the matrix.
        lowercase: give a word of ``vocabulary`` that the file does not have the vector of its lower-cased form.
        format: ``glove`` (text without a header), ``word2vec`` (text with a header of two numbers, words and
            dimensions: also fastText's ``.vec``), ``word2vec-binary``, ``gensim`` (3 and 4), ``fasttext`` (``.bin``),
            ``floret``, ``bpemb`` or ``magnitude``; None: the file shows it.

    Returns:
        The words, in the order of the file, then those that got the vector of their lower-cased form. Its ``subwords``
        compose the vectors of other words, where the format has vectors of their parts.

    Raises:
        InputError: the file is missing, empty or cut off; a vector has another length than the first, a value that is
            not a number, or NaN or infinity; the format is unknown. In text files every line's length is looked at,
            but only the values of the words kept.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = file.write_text("the 0.5 1\\nparis 2 -1\\n")
    >>> read_word_vectors(file, ["Paris", "the"], lowercase=True).words
    ['the', 'Paris']
    """
    rows = Rows(Path(path), vocabulary, np.dtype(dtype), lowercase)
    read_into(path, rows, format)
    return rows.result()
