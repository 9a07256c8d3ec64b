# SPDX-License-Identifier: BSD-2-Clause
"""Which padded lengths waste the least, for a histogram of lengths."""

from typing import TYPE_CHECKING

import numpy as np

from spago_jax.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_CANDIDATES = 1024  # the search takes (number of candidates)^2 x buckets operations


def choose_buckets(
    lengths: "ArrayLike", n: int = 8, *, multiple: int = 8, max_padding: float | None = None
) -> tuple[int, ...]:
    """The at most ``n`` lengths that waste the fewest padded positions, each example going to the next longer one.

    Exact, by dynamic programming over the distinct lengths rounded up to ``multiple``: with N(c) examples of length
    c or less, ``waste(k, c) = min over b < c of waste(k - 1, b) + c (N(c) - N(b))``. (Beyond 1024 distinct lengths the
    multiple is doubled until they are fewer.)

    Args:
        lengths: the length of each example.
        n: how many lengths at most; fewer where there are no more distinct ones.
        multiple: each is a multiple of this, which suits the hardware and is less sensitive to a new corpus.
        max_padding: the share of padding, 0 to 1, that is good enough: the fewest lengths that reach it are taken.

    Returns:
        The lengths, ascending; the last holds the longest example.

    Raises:
        InputError: there are no lengths, or one is negative; ``n`` or ``multiple`` is below 1.

    >>> choose_buckets([3, 4, 4, 5, 30, 31], 2)
    (8, 32)
    >>> choose_buckets([3, 4, 4, 5, 30, 31], 3, multiple=1)
    (4, 5, 31)
    """
    lengths = np.asarray(lengths, np.int64)
    if not lengths.size or lengths.min() < 0:
        raise InputError("lengths to choose buckets from: none, or a negative one; expected one an example, 0 or more")
    if n < 1 or multiple < 1:
        raise InputError(f"n={n} buckets of a multiple of {multiple}: both must be 1 or more")
    rounded = np.maximum(-(-lengths // multiple), 1) * multiple
    ends, counts = np.unique(rounded, return_counts=True)
    while len(ends) > _CANDIDATES:
        multiple *= 2
        rounded = np.maximum(-(-lengths // multiple), 1) * multiple
        ends, counts = np.unique(rounded, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])  # below[i]: examples no longer than ends[i - 1]
    # step[i, j]: positions of the examples in (ends[i - 1], ends[j - 1]] padded to ends[j - 1]
    step = np.concatenate([[0], ends])[None, :] * (below[None, :] - below[:, None]).astype(np.float64)
    step[np.tril_indices(len(below))] = np.inf
    cost = np.full(len(below), np.inf)
    cost[0] = 0.0
    choices: list[np.ndarray] = []
    held = int(lengths.sum())
    for _ in range(min(n, len(ends))):
        totals = cost[:, None] + step
        choices.append(totals.argmin(axis=0))
        cost = totals.min(axis=0)
        if max_padding is not None and cost[-1] * (1.0 - max_padding) <= held:
            break
    chosen: list[int] = []
    at = len(ends)
    for choice in reversed(choices):
        chosen.append(int(ends[at - 1]))
        at = int(choice[at])
    return tuple(reversed(chosen))


def padding_waste(lengths: "ArrayLike", buckets: tuple[int, ...]) -> float:
    """Returns the share of positions that are padding, 0 to 1, when each length is padded to the next bucket.

    Raises:
        InputError: for a length beyond the largest bucket.

    >>> padding_waste([4, 6], (8,))
    0.375
    """
    lengths = np.asarray(lengths, np.int64)
    ends = np.asarray(buckets, np.int64)
    if lengths.size and lengths.max() > ends[-1]:
        raise InputError(f"length {int(lengths.max())} is beyond the largest bucket, {int(ends[-1])}")
    padded = int(ends[np.searchsorted(ends, lengths)].sum())
    return 1.0 - int(lengths.sum()) / padded if padded else 0.0
