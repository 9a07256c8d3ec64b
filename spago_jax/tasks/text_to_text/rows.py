# SPDX-License-Identifier: BSD-2-Clause
"""Sources to be read, and pairs to be learned from, as rows of ids."""

from collections.abc import Sequence

import numpy as np

from spago_jax.data.examples import Parallel
from spago_jax.data.processor import Rows
from spago_jax.data.ragged import RaggedArray


class SourceRows(Rows):
    """Texts that are read, one row each, or several of a text that was split.

    Attributes:
        ids: the ids of each row's pieces, with the marks beside them.
    """

    def __init__(self, ids: Sequence[Sequence[int]], owners: Sequence[int]):
        self.ids = ragged(ids)
        self.lengths = self.ids.lengths.astype(np.int64)
        self.owners = np.asarray(owners, np.int64)


class ParallelRows(SourceRows):
    """Pairs of texts.

    Attributes:
        target_ids: the ids of the targets' pieces, with the marks beside them.
        target_lengths: how many they are, int64 [n].
        pairs: the pairs as they were read.
    """

    def __init__(self, ids: Sequence[Sequence[int]], target_ids: Sequence[Sequence[int]], pairs: Sequence[Parallel]):
        super().__init__(ids, range(len(ids)))
        self.target_ids = ragged(target_ids)
        self.target_lengths = self.target_ids.lengths.astype(np.int64)
        self.pairs = tuple(pairs)


def ragged(rows: Sequence[Sequence[int]]) -> RaggedArray:
    """Returns rows of ids as one array."""
    values = np.array([id for row in rows for id in row], np.int32)
    return RaggedArray.from_lengths(values, [len(row) for row in rows])
