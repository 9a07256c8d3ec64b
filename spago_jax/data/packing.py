# SPDX-License-Identifier: BSD-2-Clause
"""Packs texts of unequal length into rows of a fixed length, so that little of a batch is padding."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from spago_jax.errors import InputError

__all__ = ["PackedRows", "Packing"]


class PackedRows(NamedTuple):
    """Rows that hold several texts each.

    Attributes:
        values: the tokens, [rows, size].
        segments: the number of the text within its row, from 1, int32 [rows, size]; 0 for padding. Attention is to stay
            within equal numbers.
        positions: the place of each token in its own text, int32 [rows, size]; 0 for padding.
        owners: the number of the text that each token belongs to, int64 [rows, size]; -1 for padding.
    """

    values: np.ndarray
    segments: np.ndarray
    positions: np.ndarray
    owners: np.ndarray


class Packing:
    """Where texts stand in rows of a fixed length: each in the first row that still has room for it.

    Args:
        lengths: the length of each text.
        size: the length of the rows.

    Attributes:
        rows: the row of each text, int64 [texts].
        starts: the place in its row where it begins, int64 [texts].
        count: the number of rows.

    Raises:
        InputError: a text is longer than a row.

    >>> packing = Packing([3, 4, 2, 1], 6)
    >>> packing.rows.tolist(), packing.starts.tolist(), packing.count
    ([0, 1, 0, 0], [0, 0, 3, 5], 2)
    """

    def __init__(self, lengths: ArrayLike, size: int):
        self.lengths, self.size = np.asarray(lengths, np.int64), size
        if self.lengths.ndim != 1 or (self.lengths < 0).any():
            raise InputError(f"lengths {self.lengths.ravel()[:8].tolist()}: expected one number from 0 per text")
        if size < 1:
            raise InputError(f"rows of {size} tokens: expected 1 or more")
        if len(self.lengths) and self.lengths.max() > size:
            longest = int(self.lengths.argmax())
            raise InputError(
                f"text {longest} has {self.lengths[longest]} tokens, more than a row of {size}: cut it into windows, or"
                " make the rows longer"
            )
        rows, starts = _first_fit(self.lengths.tolist(), size)
        self.rows, self.starts = np.array(rows, np.int64), np.array(starts, np.int64)
        self.count = max(rows, default=-1) + 1

    def pack(self, texts: Sequence[ArrayLike], *, padding: float = 0) -> PackedRows:
        """Returns the rows.

        Args:
            texts: the tokens of each text, of the lengths that were given.
            padding: what stands in unused places.

        Raises:
            InputError: a text has another length.

        >>> packed = Packing([2, 1], 4).pack([[7, 8], [9]])
        >>> packed.values.tolist(), packed.segments.tolist(), packed.positions.tolist(), packed.owners.tolist()
        ([[7, 8, 9, 0]], [[1, 1, 2, 0]], [[0, 1, 0, 0]], [[0, 0, 1, -1]])
        """
        parts = [np.asarray(text) for text in texts]
        found = [len(part) for part in parts]
        if found != self.lengths.tolist():
            at = next((i for i, pair in enumerate(zip(found, self.lengths, strict=False)) if pair[0] != pair[1]), None)
            what = f"{len(found)} texts" if at is None else f"text {at} of {found[at]} tokens"
            wanted = len(self.lengths) if at is None else self.lengths[at]
            raise InputError(f"{what}: expected {wanted}, as the packing was made for")
        values = np.concatenate(parts) if parts else np.zeros(0, np.int32)
        owners = np.repeat(np.arange(len(parts)), self.lengths)
        within = np.arange(len(values)) - np.repeat(np.cumsum(self.lengths) - self.lengths, self.lengths)
        flat = self.rows[owners] * self.size + self.starts[owners] + within
        segments = self._segments()

        def laid_out(items: np.ndarray, empty: float) -> np.ndarray:
            out = np.full((self.count * self.size, *items.shape[1:]), empty, items.dtype)
            out[flat] = items
            return out.reshape(self.count, self.size, *items.shape[1:])

        return PackedRows(
            laid_out(values, padding),
            laid_out(segments[owners], 0),
            laid_out(within.astype(np.int32), 0),
            laid_out(owners, -1),
        )

    def unpack(self, rows: ArrayLike) -> list[np.ndarray]:
        """Returns what belongs to each text, such as a model's states, in the order of the texts.

        Args:
            rows: anything with one item per token: [rows, size, ...].

        >>> packing = Packing([2, 1, 3], 4)
        >>> [part.tolist() for part in packing.unpack(packing.pack([[7, 8], [9], [1, 2, 3]]).values)]
        [[7, 8], [9], [1, 2, 3]]
        """
        array = np.asarray(rows)
        if array.shape[:2] != (self.count, self.size):
            raise InputError(f"shape {list(array.shape)}: expected [{self.count}, {self.size}, ...], as was packed")
        return [
            array[row, start : start + length]
            for row, start, length in zip(self.rows, self.starts, self.lengths, strict=True)
        ]

    def _segments(self) -> np.ndarray:
        """The number of each text among those of its row that have tokens, from 1."""
        numbers, held = np.zeros(len(self.rows), np.int32), np.zeros(self.count, np.int32)
        for text, (row, length) in enumerate(zip(self.rows.tolist(), self.lengths.tolist(), strict=True)):
            held[row] += length > 0
            numbers[text] = held[row]
        return numbers


def _first_fit(lengths: list[int], size: int) -> tuple[list[int], list[int]]:
    # A tree over the rows whose nodes know the most room below them, so that the first row with room is found in as
    # many steps as the tree is deep. There are never more rows than texts.
    leaves = 1
    while leaves < len(lengths):
        leaves *= 2
    room = [size] * (2 * leaves)
    rows, starts = [], []
    for length in lengths:
        node = 1
        while node < leaves:
            node = 2 * node if room[2 * node] >= length else 2 * node + 1
        rows.append(node - leaves)
        starts.append(size - room[node])
        room[node] -= length
        while node > 1:
            node //= 2
            room[node] = max(room[2 * node], room[2 * node + 1])
    return rows, starts
