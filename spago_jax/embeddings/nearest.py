# SPDX-License-Identifier: BSD-2-Clause
"""Nearest rows, similarity of words and analogies, over vectors in memory or a store on disk."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.embeddings.lookup import Rule
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.embeddings.store.manifest import NAME
from spago_jax.embeddings.store.store import Store
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.errors import InputError, did_you_mean

_BLOCK = 1 << 14  # rows
_SHOWN = 200_000  # words among which one that is meant is looked for


class NearestWords:
    """Answers about words by the angles between their vectors.

    Args:
        source: vectors in memory, or an open store of words.
        rule: how words are looked up, see ``lookup.variants``.

    >>> vectors = WordVectors(["up", "high", "left"], np.array([[0, 2.0], [0.2, 1], [-1, 0]], np.float32))
    >>> words = NearestWords(vectors)
    >>> words.nearest("up", 1)[0][0], round(words.similarity("up", "left"), 2)
    ('high', 0.0)
    """

    def __init__(self, source: WordVectors | Store, rule: Rule = "exact"):
        if isinstance(source, Store) and source.kind != "words":
            raise InputError(f"the store's keys are {source.kind}, expected words", path=source.path)
        self.source = source
        self.rule: Rule = rule
        self._norms: np.ndarray | None = None

    @classmethod
    def open(cls, path: str | Path, rule: Rule = "lower", format: str | None = None) -> "NearestWords":
        """Opens a store, or reads a file of word vectors.

        Raises:
            InputError: where it is missing or bad.
        """
        if (Path(path) / NAME).is_file():
            return cls(Store.open(path), rule)
        return cls(read_word_vectors(path, format=format), rule)

    def __len__(self) -> int:
        return len(self.source)

    def vector(self, word: str) -> np.ndarray | None:
        """The vector of a word, by the rule; None where it has none."""
        if isinstance(self.source, WordVectors):
            return self.source.vector(word, self.rule)
        row = self.source.find([word], self.rule)
        return None if row[0] < 0 else self.source.read(row)[0]

    def known(self, word: str) -> np.ndarray:
        """The vector of a word.

        Raises:
            InputError: it has none; names a word like it.
        """
        found = self.vector(word)
        if found is not None:
            return found
        hint = did_you_mean(word, [each for _, each in zip(range(_SHOWN), self._words(), strict=False)])
        raise InputError(f"no vector for {word!r}{f'; {hint}' if hint.startswith('did you') else ''}")

    def similarity(self, one: str, other: str) -> float:
        """The cosine of the angle between the vectors of two words; 0 for a vector of zeros."""
        a, b = (self.known(word).astype(np.float64) for word in (one, other))
        return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-300))

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """The ``n`` other words whose vectors make the smallest angle with this one's, with the cosine."""
        return self.nearest_to(self.known(word), n, without=[word])

    def analogy(self, a: str, b: str, c: str, n: int = 10) -> list[tuple[str, float]]:
        """What is to ``c`` as ``b`` is to ``a``: the words nearest to ``b - a + c``, of vectors of length 1 (3CosAdd).

        Source: Mikolov et al. (2013); the three words themselves are left out.
        """
        one, two, three = (_unit(self.known(word)) for word in (a, b, c))
        return self.nearest_to(two - one + three, n, without=[a, b, c])

    def nearest_to(self, vector: np.ndarray, n: int, *, without: Iterable[str] = ()) -> list[tuple[str, float]]:
        """The ``n`` words whose vectors make the smallest angle with a given one, with the cosine.

        Args:
            vector: the vector, [dimensions].
            n: how many.
            without: words that are left out, as they are looked up.
        """
        left_out = {self._row(word) for word in without}
        wanted = n + len(left_out)
        best_rows, best = np.zeros(0, np.int64), np.zeros(0, np.float32)
        for start, cosines in self._cosines(_unit(vector).astype(np.float32)):
            top = np.argpartition(-cosines, min(wanted, len(cosines)) - 1)[:wanted]
            best_rows, best = np.r_[best_rows, top + start], np.r_[best, cosines[top]]
            order = np.lexsort((best_rows, -best))[:wanted]
            best_rows, best = best_rows[order], best[order]
        found = [(row, value) for row, value in zip(best_rows.tolist(), best.tolist(), strict=True)]
        return [(self._word(row), value) for row, value in found if row not in left_out][:n]

    def _cosines(self, unit: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        if isinstance(self.source, WordVectors):
            yield 0, self.source.unit_rows() @ unit
            return
        for start, rows in self.source.blocks(_BLOCK):
            norms = np.maximum(np.linalg.norm(rows, axis=1), np.finfo(np.float32).tiny)
            yield start, rows @ unit / norms

    def _row(self, word: str) -> int:
        if isinstance(self.source, Store):
            return int(self.source.find([word], self.rule)[0])
        return self.source.row(word, self.rule)

    def _word(self, row: int) -> str:
        return self.source.words[row] if isinstance(self.source, WordVectors) else str(self.source.key(row))

    def _words(self) -> Iterator[Any]:
        return iter(self.source.words) if isinstance(self.source, WordVectors) else self.source.keys()


def _unit(vector: np.ndarray) -> np.ndarray:
    vector = np.asarray(vector, np.float64)
    return vector / max(float(np.linalg.norm(vector)), 1e-300)
