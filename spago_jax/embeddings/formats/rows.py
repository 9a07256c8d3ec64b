# SPDX-License-Identifier: BSD-2-Clause
"""Where the readers of word vectors put what they read."""

import abc
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.embeddings.word_vectors import WordVectors, as_word
from spago_jax.errors import InputError


class Sink(abc.ABC):
    """Takes the vectors of a file, one after the other; a word is its bytes.

    Attributes:
        path: the file, for messages.
        wanted: the only words that are kept, or None for all.
        firsts: of wanted words the parts before the first blank: enough to pass over a line quickly.
        duplicates: how many words came again, and were passed over.
        broken: how many words are not UTF-8.
        empty: how many were empty, and were passed over.
        subwords: what composes the vectors of unknown words, where the format has it.
        dtype: of the values that are kept.
    """

    dtype: np.dtype = np.dtype(np.float32)

    def __init__(self, path: Path, wanted: Collection[bytes] | None = None):
        self.path, self.wanted = path, None if wanted is None else set(wanted)
        self.firsts = {form.split(b" ", 1)[0] for form in self.wanted or ()}
        self.duplicates = self.broken = self.empty = 0
        self.subwords: Any = None

    @abc.abstractmethod
    def begin(self, size: int) -> None:
        """Says how long the vectors are."""

    @abc.abstractmethod
    def held(self, word: bytes) -> bool:
        """Whether a word was taken before."""

    @abc.abstractmethod
    def take(self, word: bytes, values: np.ndarray) -> None:
        """Takes a word that is new, and its vector."""

    def wants(self, word: bytes) -> bool:
        """Whether this word is to be added; counts it where it was already, or is empty."""
        if self.wanted is not None and word not in self.wanted:
            return False
        if not word:
            self.empty += 1
            return False
        if self.held(word):
            self.duplicates += 1
            return False
        return True

    def add(self, word: bytes, values: np.ndarray, line: int | None = None, place: str = "") -> None:
        """Adds a vector whose values must be finite. ``place`` is put before an error where no line can be named."""
        with np.errstate(over="ignore"):
            small = values.astype(self.dtype, copy=False)
        if not np.isfinite(small).all():
            at = int(np.flatnonzero(~np.isfinite(small))[0])
            shown = as_word(word).encode("utf-8", "backslashreplace").decode()
            raise InputError(
                f"{place}value {at + 1} of {shown!r} is {small[at]}, expected finite numbers", path=self.path, line=line
            )
        try:
            word.decode("utf-8")
        except UnicodeDecodeError:
            self.broken += 1
        self.take(word, small)


class Rows(Sink):
    """Keeps the vectors in a matrix that grows."""

    def __init__(self, path: Path, vocabulary: Collection[str] | None, dtype: np.dtype, lowercase: bool):
        self.vocabulary = None if vocabulary is None else dict.fromkeys(vocabulary)
        self.dtype, self.lowercase = dtype, lowercase
        wanted = None
        if self.vocabulary is not None:
            forms = {*self.vocabulary, *(word.lower() for word in self.vocabulary)} if lowercase else self.vocabulary
            wanted = {as_bytes(form) for form in forms}
        super().__init__(path, wanted)
        self.rows: dict[bytes, int] = {}
        self.matrix = np.empty((0, 0), dtype)

    def begin(self, size: int) -> None:
        """Says how long the vectors are."""
        self.matrix = np.empty((0, size), self.dtype)

    def held(self, word: bytes) -> bool:
        """Whether a word was taken before."""
        return word in self.rows

    def take(self, word: bytes, values: np.ndarray) -> None:
        """Keeps a row."""
        row = len(self.rows)
        if row >= len(self.matrix):
            grown = np.empty((max(256, 2 * row), len(values)), self.dtype)
            grown[:row] = self.matrix[:row]
            self.matrix = grown
        self.matrix[row] = values
        self.rows[word] = row

    def result(self) -> WordVectors:
        """What was kept."""
        words = [as_word(word) for word in self.rows]
        matrix = self.matrix[: len(words)]
        about = {"duplicates": self.duplicates, "broken": self.broken, "empty": self.empty, "subwords": self.subwords}
        if self.vocabulary is None or not self.lowercase:
            return WordVectors(words, matrix.copy(), **about)
        rows = dict(zip(words, range(len(words)), strict=True))
        exact = [word for word in words if word in self.vocabulary]
        lowered = [word for word in self.vocabulary if word not in rows and word.lower() in rows]
        picked = [rows[word] for word in exact] + [rows[word.lower()] for word in lowered]
        return WordVectors(exact + lowered, matrix[picked], lowered=len(lowered), **about)


def as_bytes(word: str) -> bytes:
    """Returns the bytes of a word as a file has them; surrogates stand for bytes that are not UTF-8.

    >>> as_bytes("\\udcff"), as_bytes("é")
    (b'\\xff', b'\\xc3\\xa9')
    """
    try:
        return word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other surrogates, which no file gives
        return word.encode("utf-8", "surrogatepass")
