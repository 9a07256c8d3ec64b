# SPDX-License-Identifier: BSD-2-Clause
"""The words around a sentence: those of the sentences before and after it in the same text."""

from dataclasses import dataclass

import numpy as np

from spago_jax.data.ragged import RaggedArray


@dataclass(frozen=True)
class Neighbors:
    """Sentences that stand one after the other, in one text or in several.

    Attributes:
        forms: the forms of each sentence.
        first: where the text of each sentence begins among the values of ``forms``, int64 [n].
        last: where it ends, int64 [n].
    """

    forms: RaggedArray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, forms: RaggedArray, owners: np.ndarray | None = None) -> "Neighbors":
        """Sentences by their texts.

        Args:
            forms: the forms of each sentence.
            owners: the text of each sentence, whose sentences stand together; None where all are of one text.

        >>> found = Neighbors.of(RaggedArray([7, 8, 9, 5], [0, 2, 3, 4]), np.array([0, 0, 1]))
        >>> [[side.tolist() for side in found.around(row, 9)] for row in range(3)]
        [[[], [9]], [[7, 8], []], [[], []]]
        """
        owners = np.zeros(len(forms), np.int64) if owners is None else np.asarray(owners)
        change = np.flatnonzero(np.diff(owners)) + 1
        starts, ends = np.concatenate([[0], change]), np.concatenate([change, [len(forms)]])
        counts = ends - starts
        return cls(forms, np.repeat(forms.offsets[starts], counts), np.repeat(forms.offsets[ends], counts))

    def bounds(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Where the words before each sentence begin, and where those after it end, at most so many of each."""
        offsets = self.forms.offsets
        return np.maximum(offsets[:-1] - most, self.first), np.minimum(offsets[1:] + most, self.last)

    def around(self, row: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """The forms before a sentence and after it, at most so many of each."""
        values, offsets = np.asarray(self.forms.values), self.forms.offsets
        begin, end = max(offsets[row] - most, self.first[row]), min(offsets[row + 1] + most, self.last[row])
        return values[begin : offsets[row]], values[offsets[row + 1] : end]
