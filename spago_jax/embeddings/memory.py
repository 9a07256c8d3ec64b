# SPDX-License-Identifier: BSD-2-Clause
"""What was seen of each word, pooled into one vector: in memory up to a bound, or mapped from disk."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np

from spago_jax.data.files import load_array
from spago_jax.embeddings.saved_settings import settings_of
from spago_jax.errors import InputError, did_you_mean

Pool = Literal["min", "max", "mean", "fade"]
POOLS: tuple[str, ...] = get_args(Pool)


class WordMemory:
    """One vector per word, of all its vectors so far.

    ``min`` and ``max`` by feature, ``mean`` over all, or ``fade``, ``m = (m + v) / 2``, in which the last ones weigh
    most. It stays on the host.

    Args:
        size: length of a vector.
        pool: how the vectors of a word are joined.
        most: the most words that are kept; further ones are counted and left out.

    Attributes:
        left_out: how many vectors of words came when it was full.

    >>> memory = WordMemory(1, "mean")
    >>> memory.enter(["a", "b", "a"], np.array([[1.0], [5.0], [3.0]]))
    >>> memory.rows_of(["a", "c"]).tolist(), memory.vectors(np.array([0])).tolist()
    ([0, -1], [[2.0]])
    """

    def __init__(self, size: int, pool: Pool | str = "mean", most: int = 1_000_000):
        if pool not in POOLS:
            raise InputError(f"pooling {pool!r}: {did_you_mean(pool, POOLS)}")
        self.size, self.pool, self.most = size, pool, most
        self.left_out = 0
        self._index: dict[str, int] = {}
        self._rows: np.ndarray = np.zeros((0, size), np.float32)  # of a mean the sums
        self._counts: np.ndarray = np.zeros(0, np.int64)

    @classmethod
    def of(cls, words: Sequence[str], vectors: np.ndarray, counts: np.ndarray, pool: Pool | str, most: int) -> Self:
        """A memory of some words, whose ``vectors`` are pooled already: those of a mean are sums.

        Raises:
            InputError: for another number of vectors or of counts.
        """
        made = cls(vectors.shape[-1], pool, most)
        made._index = {word: row for row, word in enumerate(words)}
        if len(vectors) != len(made) or len(counts) != len(made):
            raise InputError(f"{len(made)} words, {len(vectors)} vectors and {len(counts)} counts")
        made._rows, made._counts = np.array(vectors, np.float32), np.array(counts, np.int64)
        return made

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    @property
    def nbytes(self) -> int:
        """Bytes of its vectors."""
        return len(self) * self.size * 4

    def rows_of(self, words: Sequence[str]) -> np.ndarray:
        """The row of each word, -1 for one that was not seen: int32 [n]."""
        return np.array([self._index.get(word, -1) for word in words], np.int32)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of some rows, zeros for -1: int[...] -> float32 [..., size]."""
        if not len(self):
            return np.zeros((*rows.shape, self.size), np.float32)
        found = np.array(self._rows[np.maximum(rows, 0)], np.float32)
        if self.pool == "mean":
            found /= self._counts[np.maximum(rows, 0)][..., None]
        found[rows < 0] = 0.0
        return found

    def enter(self, words: Sequence[str], vectors: np.ndarray) -> None:
        """Adds the vectors of some words, in their order."""
        self._grow(len(set(words) - self._index.keys()))
        for word, vector in zip(words, np.asarray(vectors, np.float32), strict=True):
            row = self._index.get(word)
            if row is None:
                if len(self._index) >= self.most:
                    self.left_out += 1
                    continue
                row = self._index[word] = len(self._index)
                self._rows[row], self._counts[row] = vector, 1
                continue
            self._counts[row] += 1
            old = self._rows[row]
            if self.pool == "fade":
                self._rows[row] = (old + vector) / 2
            else:
                self._rows[row] = {"min": np.minimum, "max": np.maximum, "mean": np.add}[self.pool](old, vector)

    def _grow(self, new: int) -> None:
        """Makes room, in memory: what was mapped from disk is copied before it is changed."""
        needed = min(len(self._index) + new, max(self.most, len(self._index)))
        room = needed if needed <= len(self._rows) else max(needed, 2 * len(self._index))
        if room > len(self._rows) or not self._rows.flags.writeable:
            rows, counts = np.zeros((room, self.size), np.float32), np.zeros(room, np.int64)
            rows[: len(self)], counts[: len(self)] = self._rows[: len(self)], self._counts[: len(self)]
            self._rows, self._counts = rows, counts

    def save(self, folder: Path, name: str) -> None:
        """Writes ``NAME.memory.json`` (the words) and ``NAME.memory.npy`` (their vectors), and the counts beside it."""
        settings = {"size": self.size, "pool": self.pool, "most": self.most, "words": list(self._index)}
        # without indentation, for there may be millions of words
        (folder / f"{name}.memory.json").write_text(json.dumps(settings), encoding="utf-8")
        np.save(folder / f"{name}.memory.npy", self._rows[: len(self)])
        np.save(folder / f"{name}.counts.npy", self._counts[: len(self)])

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Opens what ``save`` wrote; the vectors stay on disk.

        Raises:
            InputError: where it is missing or damaged.
        """
        path = folder / f"{name}.memory.json"
        with settings_of(path) as settings:
            made = cls(int(settings["size"]), settings["pool"], int(settings["most"]))
            made._index = {str(word): row for row, word in enumerate(settings["words"])}
        made._rows = load_array(folder / f"{name}.memory.npy", mapped=True)
        made._counts = load_array(folder / f"{name}.counts.npy")
        if made._rows.shape != (len(made), made.size) or made._counts.shape != (len(made),):
            raise InputError(f"{len(made)} words, and vectors of shape {made._rows.shape}", path=path)
        return made
