# SPDX-License-Identifier: BSD-2-Clause
"""Vectors of the words of a corpus that were computed before, and may stay on disk. Needs NumPy alone."""

import numpy as np


class SentenceVectors:
    """One row per word of a corpus, sentence after sentence.

    Args:
        values: [words, features].
        offsets: where each sentence begins, and where the last one ends, int64 [sentences + 1].
        replaces: the arrays of a batch that they were computed from, and stand for.

    >>> vectors = SentenceVectors(np.arange(6.0).reshape(3, 2), np.array([0, 1, 3]))
    >>> vectors.gather(np.array([1, -1]), 2).tolist()
    [[[2.0, 3.0], [4.0, 5.0]], [[0.0, 0.0], [0.0, 0.0]]]
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray, replaces: tuple[str, ...] = ()):
        self.values, self.offsets, self.replaces = values, offsets, replaces

    def gather(self, indices: np.ndarray, length: int) -> np.ndarray:
        """The vectors of some sentences, zeros beyond their ends and for -1: float32 [..., length, features]."""
        starts = self.offsets[np.maximum(indices, 0)]
        lengths = np.where(indices < 0, 0, self.offsets[indices + 1] - starts)
        places = np.arange(length)
        held = places < np.minimum(lengths, length)[..., None]
        found = np.zeros((*held.shape, self.values.shape[1]), np.float32)
        found[held] = self.values[(starts[..., None] + places)[held]]
        return found
