# SPDX-License-Identifier: BSD-2-Clause
"""Word vectors in memory: a word for each row of a matrix."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from spago_jax.errors import InputError, did_you_mean

__all__ = ["Coverage", "WordVectors"]


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

    >>> vectors = WordVectors(["up", "high", "left"], np.array([[0, 2.0], [0.2, 1], [-1, 0]]))
    >>> vectors["left"].tolist(), "down" in vectors
    ([-1.0, 0.0], False)
    >>> vectors.nearest("up", 1)[0][0]
    'high'
    >>> print(vectors.coverage(["up", "down"]))
    1 of 2 words (50.0%) have a vector
    """

    words: list[str]
    matrix: np.ndarray
    duplicates: int = 0
    lowered: int = 0
    _index: dict[str, int] = field(default_factory=dict, repr=False)

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
        return word in self.index

    def __getitem__(self, word: str) -> np.ndarray:
        row = self.index.get(word)
        if row is None:
            raise KeyError(f"no vector for {word!r}")
        return self.matrix[row]

    def coverage(self, words: Iterable[str]) -> Coverage:
        """Which of the words have a vector, each counted once."""
        distinct = list(dict.fromkeys(words))
        missing = tuple(word for word in distinct if word not in self.index)
        return Coverage(len(distinct), len(distinct) - len(missing), missing)

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The ``n`` other words whose vectors make the smallest angle with this one's, with the cosine.

        Raises:
            InputError: the word has no vector.
        """
        row = self.index.get(word)
        if row is None:
            hint = did_you_mean(word, self.words)  # else it lists all it knows, too many here
            raise InputError(f"no vector for {word!r}{f'; {hint}' if hint.startswith('did you') else ''}")
        matrix = self.matrix.astype(np.float32, copy=False)
        norms = np.maximum(np.linalg.norm(matrix, axis=1), np.finfo(np.float32).tiny)
        cosines = matrix @ matrix[row] / (norms * norms[row])
        cosines[row] = -np.inf
        n = min(n, len(self) - 1)
        best = np.argpartition(-cosines, max(n - 1, 0))[:n]
        best = best[np.argsort(-cosines[best], kind="stable")]
        return [(self.words[at], float(cosines[at])) for at in best.tolist()]
