# SPDX-License-Identifier: BSD-2-Clause
"""Word vectors in memory: a word for each row of a matrix."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from spago_jax.embeddings.lookup import Rule, found_form

__all__ = ["Coverage", "Subwords", "WordVectors", "as_word"]


def as_word(word: str | bytes) -> str:
    """Returns the text of a word's bytes; a byte that is not UTF-8 becomes a surrogate, so that nothing is lost.

    >>> as_word(b"caf\\xc3\\xa9"), as_word(b"caf\\xc3")
    ('café', 'caf\\udcc3')
    """
    return word.decode("utf-8", "surrogateescape") if isinstance(word, bytes) else word


class Subwords(Protocol):
    """Composes vectors of words that a file does not have, of their parts."""

    def compose(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the vectors [n, dimensions], and which words have any known part, bool [n]."""
        ...


@dataclass(frozen=True)
class Coverage:
    """How many words have a vector.

    Attributes:
        words: how many distinct words were asked for.
        found: how many of them have one.
        missing: those that have none, in the order asked for.
    """

    words: int
    found: int
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share that is found, 0 to 1."""
        return self.found / self.words if self.words else 0.0

    def __str__(self) -> str:
        return f"{self.found} of {self.words} words ({self.share:.1%}) have a vector"


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors of words.

    Attributes:
        words: the words, one per row.
        matrix: their vectors, [n words, dimensions].
        duplicates: how many lines of the file gave a word again that was kept already (the first one counts).
        lowered: how many words have the vector of their lower-cased form.
        broken: how many words are not UTF-8; they are looked up as bytes.
        empty: how many lines had an empty word, and were passed over.
        subwords: composes the vectors of other words, where the file has parts of words.

    >>> vectors = WordVectors(["up", "high", "left"], np.array([[0, 2.0], [0.2, 1], [-1, 0]]))
    >>> vectors["left"].tolist(), "down" in vectors
    ([-1.0, 0.0], False)
    >>> print(vectors.coverage(["up", "down"]))
    1 of 2 words (50.0%) have a vector
    """

    words: list[str]
    matrix: np.ndarray
    duplicates: int = 0
    lowered: int = 0
    broken: int = 0
    empty: int = 0
    subwords: Subwords | None = field(default=None, repr=False)
    _index: dict[str, int] = field(default_factory=dict, repr=False)
    _units: list[np.ndarray] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"WordVectors({len(self)} words, {self.dimensions} dimensions, {self.matrix.dtype})"

    @property
    def dimensions(self) -> int:
        """The size of a vector."""
        return self.matrix.shape[1]

    @property
    def index(self) -> dict[str, int]:
        """The row of each word."""
        if len(self._index) != len(self.words):
            self._index.update((word, row) for row, word in enumerate(self.words))
        return self._index

    @property
    def uncased(self) -> bool:
        """Whether no word has an upper-case letter."""
        return all(word == word.lower() for word in self.words)

    def __contains__(self, word: object) -> bool:
        return (as_word(word) if isinstance(word, bytes) else word) in self.index

    def __getitem__(self, word: str | bytes) -> np.ndarray:
        row = self.index.get(as_word(word))
        if row is None:
            raise KeyError(f"no vector for {word!r}")
        return self.matrix[row]

    def row(self, word: str, rule: Rule = "exact") -> int:
        """The row of a word by a rule (see ``lookup``); -1 where it has none."""
        form = found_form(word, rule, self.index)
        return -1 if form is None else self.index[form]

    def vector(self, word: str | bytes, rule: Rule = "exact") -> np.ndarray | None:
        """The vector of a word by a rule (see ``lookup``), else that composed of its parts, else None."""
        word = as_word(word)
        row = self.row(word, rule)
        if row >= 0:
            return self.matrix[row]
        if self.subwords is None:
            return None
        made, known = self.subwords.compose([word])
        return made[0] if known[0] else None

    def coverage(self, words: Iterable[str]) -> Coverage:
        """Which of the words have a vector, each counted once."""
        distinct = list(dict.fromkeys(words))
        missing = tuple(word for word in distinct if word not in self.index)
        return Coverage(len(distinct), len(distinct) - len(missing), missing)

    def unit_rows(self) -> np.ndarray:
        """The vectors as float32 of length 1, made once; a vector of zeros stays one."""
        if not self._units:
            matrix = self.matrix.astype(np.float32, copy=False)
            norms = np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), np.finfo(np.float32).tiny)
            self._units.append(matrix / norms)
        return self._units[0]
