# SPDX-License-Identifier: BSD-2-Clause
"""Padded lengths of pairs of texts, which have two each, and how many pairs a batch of so many tokens holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spago_jax.compiler.bucket_sizes import choose_buckets
from spago_jax.errors import InputError

__all__ = ["PairBuckets"]


@dataclass(frozen=True)
class PairBuckets:
    """The buckets that pairs are sorted into, by the length of their longer side.

    Both sides of a bucket are padded to lengths of their own: summaries are short where their articles are long.

    Attributes:
        lengths: of the longer side, at most, ascending: what pairs are sorted by.
        sources: the length that the sources of each bucket are padded to; not falling, for pairs that do not fill a
            batch move on to the next bucket.
        targets: the same of the targets.

    >>> buckets = PairBuckets.choose([([3, 4, 30], [2, 2, 9])], 2)
    >>> buckets.lengths, buckets.sources, buckets.targets, buckets.rows(64)
    ((8, 32), (8, 32), (8, 16), (8, 2))
    """

    lengths: tuple[int, ...]
    sources: tuple[int, ...]
    targets: tuple[int, ...]

    @classmethod
    def choose(cls, parts: Sequence[tuple[ArrayLike, ArrayLike]], n: int, *, multiple: int = 8) -> "PairBuckets":
        """Chooses buckets for several parts of the data, which then share their compiled programs.

        Args:
            parts: the lengths of the sources and of the targets of each part.
            n: how many buckets, at most.
            multiple: padded lengths are multiples of this.

        Raises:
            InputError: there are no pairs.
        """
        sources, targets = (np.concatenate([np.asarray(part[side], np.int64) for part in parts]) for side in (0, 1))
        longer = np.maximum(sources, targets)
        lengths = choose_buckets(longer, n, multiple=multiple, max_padding=0.1)
        own = np.searchsorted(lengths, longer)
        padded = []
        for side in (sources, targets):
            most = [int(side[own == bucket].max(initial=0)) for bucket in range(len(lengths))]
            rounded = np.maximum(-(-np.maximum.accumulate(most) // multiple), 1) * multiple
            padded.append(tuple(rounded.tolist()))
        return cls(lengths, *padded)

    def padded(self, length: int) -> tuple[int, int]:
        """Returns the lengths that sources and targets of the bucket of a length are padded to."""
        bucket = self.lengths.index(length)
        return self.sources[bucket], self.targets[bucket]

    def rows(self, tokens: int, multiple: int = 1) -> tuple[int, ...]:
        """Returns how many pairs of each bucket have at most so many padded tokens on their longer side.

        Args:
            tokens: the most padded tokens of a batch, of its sources or of its targets.
            multiple: each number is a multiple of this: the devices that share a batch.

        Raises:
            InputError: where not even so many of the longest pairs fit.
        """
        longer = np.maximum(self.sources, self.targets)
        found = tokens // longer // multiple * multiple
        if found.min() < 1:
            raise InputError(
                f"{tokens} tokens per batch, and {multiple} of the longest pairs take {int(longer.max()) * multiple}: "
                "take more tokens per batch, or leave long pairs out"
            )
        return tuple(found.tolist())
