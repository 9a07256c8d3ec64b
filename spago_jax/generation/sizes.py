# SPDX-License-Identifier: BSD-2-Clause
"""The few sizes that batches, inputs and texts are padded to, so that they meet few compiled loops."""

from collections.abc import Sequence

import numpy as np

from spago_jax.errors import InputError
from spago_jax.generation.protocol import NOTHING


def rung(size: int, least: int = 1, most: int | None = None) -> int:
    """Returns the smallest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that holds ``size``, within bounds.

    >>> [rung(size) for size in (1, 5, 9, 33, 100)]
    [1, 6, 12, 48, 128]
    >>> rung(100, most=110)
    110
    """
    size = max(size, least)
    power = 1 << (size - 1).bit_length()
    found = power * 3 // 4 if size <= power * 3 // 4 and power >= 4 else power
    return found if most is None or size > most else min(found, most)


def coarse(size: int) -> int:
    """Returns the smallest of 16, 64, 256, ... that holds ``size``: for what is read once, and quickly.

    >>> [coarse(size) for size in (3, 17, 300)]
    [16, 64, 1024]
    """
    return max(16, 4 ** ((max(size, 1) - 1).bit_length() + 1 >> 1))


def padded(ids: np.ndarray, mask: np.ndarray, batch: int, time: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns ids and mask with rows and columns of padding at their ends."""
    widths = ((0, batch - ids.shape[0]), (0, time - ids.shape[1]))
    return np.pad(ids, widths), np.pad(mask, widths)


def read_ids(ids: object, mask: object | None, vocabulary: int | None, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns int32[batch, time] and bool[batch, time] of what was given.

    Raises:
        InputError: for other shapes, ids outside the vocabulary, or a row without tokens.
    """
    found = np.asarray(ids)
    if found.ndim != 2 or 0 in found.shape or found.dtype.kind not in "iu":
        raise InputError(f"{name}: {found.dtype}{list(found.shape)}, expected whole numbers [batch, time]")
    there = np.ones(found.shape, bool) if mask is None else np.asarray(mask).astype(bool)
    if there.shape != found.shape:
        raise InputError(f"mask {list(there.shape)} for {name} {list(found.shape)}: expected the same shape")
    if not there.any(axis=1).all():
        raise InputError(f"{name}: row {int(np.argmin(there.any(axis=1)))} has no tokens: its mask is all false")
    known = found[there]
    if known.min() < 0 or (vocabulary is not None and known.max() >= vocabulary):
        wrong = int(known.min()) if known.min() < 0 else int(known.max())
        raise InputError(f"{name}: {wrong} is not the id of a token; there are {vocabulary}")
    return np.where(there, found, 0).astype(np.int32), there


def rectangle(sequences: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns sequences on the right of int32[count, width]."""
    width = max(map(len, sequences), default=0)
    found = np.full((len(sequences), width), NOTHING, np.int32)
    for row, sequence in zip(found, sequences, strict=True):
        row[width - len(sequence) :] = sequence
    return found


def leftmost(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows with their tokens at the beginning."""
    order = np.argsort(~mask, axis=1, kind="stable")
    return np.take_along_axis(ids, order, 1), np.take_along_axis(mask, order, 1)


def rightmost(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the rows with their tokens at the end."""
    return np.take_along_axis(ids, np.argsort(mask, axis=1, kind="stable"), 1)
