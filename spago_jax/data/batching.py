# SPDX-License-Identifier: BSD-2-Clause
"""Assigns examples to batches: pure functions of lengths, settings, seed and epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from spago_jax.compiler.bucket_sizes import choose_buckets
from spago_jax.errors import InputError, did_you_mean

__all__ = ["Batches", "Block", "LengthBatches", "UniformBatches", "shared_buckets"]

Order = Literal["shuffled", "sequential"]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Batches of one shape, which run in one call of the device.

    Attributes:
        length: the length that examples are padded to; 0 if they have no length.
        indices: the examples, int64 [steps, batch]; -1 stands for an empty row, of length and weight 0.
        first: whether the block starts afresh, unconnected with the one before (a carried state is reset).
        epoch: the one that it belongs to, for examples that are another in every epoch.
    """

    length: int
    indices: np.ndarray
    first: bool = False
    epoch: int = 0

    @property
    def steps(self) -> int:
        """The number of batches."""
        return self.indices.shape[0]

    @property
    def examples(self) -> int:
        """The number of examples, without empty rows."""
        return int(np.count_nonzero(self.indices >= 0))


class Batches(Protocol):
    """The source of a ``BlockStream``: epochs of blocks, with the same number in each epoch."""

    def __len__(self) -> int:
        """Returns the number of blocks per epoch."""
        ...

    def epoch(self, epoch: int) -> Sequence[Block]:
        """Returns the blocks of an epoch; epochs count from 0."""
        ...


class LengthBatches:
    """Batches of examples of similar length, so that there are few shapes and little padding.

    Examples go to the bucket of the next longer length and are shuffled there; examples that do not fill a batch move
    on to the next longer bucket, so that at most one batch, the last of the longest bucket, is not full: it is filled
    with -1. Batches of a bucket are grouped into blocks, and the blocks are shuffled. Each example occurs once per
    epoch. The number of blocks and their shapes are the same in every epoch.

    Args:
        lengths: the length of each example, [n].
        batch_size: examples per batch; several numbers are those of each bucket, fewer where examples are longer.
        bucket_lengths: the lengths to pad to; None: chosen from ``lengths``, the fewest that reach ``max_padding``.
        max_buckets: the largest number of lengths to choose.
        max_padding: the acceptable share of padding when choosing.
        multiple: chosen lengths are multiples of this.
        steps_per_block: batches per block.
        seed: the seed of the shuffling.
        order: ``"shuffled"``, or ``"sequential"`` for evaluation: ascending within each bucket, the same every epoch.
        drop_last: leave out the last batch if it is not full.
        truncate: cut examples to the longest bucket (when they are gathered) instead of refusing longer ones.
        weights: of each example, [n]: an epoch then draws examples with replacement, in proportion to their weights
            within a bucket, as many as the bucket has; None: each example once.
        window: shuffle windows of so many neighboring examples, and the examples inside of each, so that data that
            do not fit into memory are read piece by piece; None: all examples together.

    Raises:
        InputError: there are no examples, or none are left; a size is below 1; the buckets do not ascend, or are too
            short.

    >>> batches = LengthBatches([3, 9, 4, 12, 2], 2, bucket_lengths=(8, 16), order="sequential")
    >>> [(block.length, block.indices.tolist()) for block in batches.epoch(0)]
    [(8, [[0, 2]]), (16, [[4, 1]]), (16, [[3, -1]])]
    >>> round(batches.padding_waste(), 3)
    0.625
    """

    def __init__(
        self,
        lengths: ArrayLike,
        batch_size: int | Sequence[int],
        *,
        bucket_lengths: Sequence[int] | None = None,
        max_buckets: int = 8,
        max_padding: float = 0.1,
        multiple: int = 8,
        steps_per_block: int = 1,
        seed: int = 0,
        order: Order = "shuffled",
        drop_last: bool = False,
        truncate: bool = False,
        weights: ArrayLike | None = None,
        window: int | None = None,
    ):
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        if window is not None and window < 1:
            raise InputError(f"window is {window}, expected 1 or more")
        self.window = window
        self.lengths = np.asarray(lengths, np.int32)
        sizes = (batch_size,) if isinstance(batch_size, int) else tuple(batch_size)
        _check(len(self.lengths), min(sizes, default=0), steps_per_block, order)
        if bucket_lengths is None:
            bucket_lengths = choose_buckets(self.lengths, max_buckets, multiple=multiple, max_padding=max_padding)
        self.bucket_lengths = tuple(int(length) for length in bucket_lengths)
        self.batch_sizes = sizes * len(self.bucket_lengths) if isinstance(batch_size, int) else sizes
        if not self.bucket_lengths or self.bucket_lengths[0] < 1 or np.any(np.diff(self.bucket_lengths) < 1):
            raise InputError(f"bucket_lengths {list(self.bucket_lengths)} must ascend, from 1 or more")
        if len(self.batch_sizes) != len(self.bucket_lengths):
            raise InputError(
                f"{len(self.batch_sizes)} numbers as batch_size, expected {len(self.bucket_lengths)}, one per bucket"
            )
        longest = int(self.lengths.max())
        if longest > self.bucket_lengths[-1] and not truncate:
            raise InputError(
                f"example {int(self.lengths.argmax())} has length {longest}, more than the longest bucket,"
                f" {self.bucket_lengths[-1]}: add a longer one, or cut longer examples with truncate=True"
            )
        self.steps_per_block = steps_per_block
        self.seed, self.order, self.drop_last, self.truncate = seed, order, drop_last, truncate
        bucket = np.minimum(np.searchsorted(self.bucket_lengths, self.lengths), len(self.bucket_lengths) - 1)
        # the examples of each bucket, in ascending order
        ordered = np.argsort(bucket, kind="stable")
        self._members = np.split(ordered, np.cumsum(np.bincount(bucket, minlength=len(self.bucket_lengths)))[:-1])
        self._batches = self._count()
        if not self:
            raise InputError(
                f"no batch left: {len(self.lengths)} examples do not fill a batch of {self.batch_sizes[-1]}, and "
                "drop_last is set"
            )

    def _count(self) -> list[int]:
        """Counts the batches of each bucket, which depend only on the number of examples in it."""
        counts, rest = [], 0
        for members, size in zip(self._members, self.batch_sizes, strict=True):
            full, rest = divmod(len(members) + rest, size)
            counts.append(full)
        if rest and not self.drop_last:
            counts[-1] += 1
        return counts

    def __len__(self) -> int:
        return sum(-(-count // self.steps_per_block) for count in self._batches)

    @property
    def steps(self) -> int:
        """The number of batches per epoch."""
        return sum(self._batches)

    def __repr__(self) -> str:
        sizes = sorted(set(self.batch_sizes))
        size = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        return (
            f"LengthBatches({len(self.lengths)} examples, {self.steps} batches of {size} in"
            f" {len(self)} blocks, lengths {list(self.bucket_lengths)}, {self.padding_waste():.1%} padding)"
        )

    def epoch(self, epoch: int) -> list[Block]:
        """Returns the blocks of an epoch, which depend on nothing requested before."""
        random = np.random.default_rng([self.seed, epoch])
        shuffled = self.order == "shuffled"
        places = self._places(random) if shuffled and self.window is not None else None
        blocks: list[Block] = []
        rest = np.empty(0, np.int64)
        last = len(self.bucket_lengths) - 1
        buckets = zip(self.bucket_lengths, self._members, self.batch_sizes, strict=True)
        for number, (length, members, size) in enumerate(buckets):
            here = np.concatenate([rest, _drawn(members, self.weights, random)])
            if places is not None:
                here = here[np.argsort(places[here], kind="stable")]
            elif shuffled:
                random.shuffle(here)
            full = len(here) // size * size
            here, rest = here[:full], here[full:]
            if number == last and len(rest) and not self.drop_last:
                filling = np.full(size - len(rest), -1, np.int64)
                here = np.concatenate([here, rest, filling])
            blocks.extend(_blocks(here.reshape(-1, size), self.steps_per_block, length, epoch))
        if places is not None:
            return sorted(blocks, key=lambda block: places[block.indices[0, 0]])
        if shuffled:
            blocks = [blocks[at] for at in random.permutation(len(blocks)).tolist()]
        return blocks

    def _places(self, random: np.random.Generator) -> np.ndarray:
        """Returns the place of each example in the order of an epoch: windows in any order, examples inside of them."""
        assert self.window is not None
        number = np.arange(len(self.lengths)) // self.window
        order = np.lexsort((random.random(len(number)), random.permutation(number[-1] + 1)[number]))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return places

    def shapes(self) -> list[tuple[int, int, int]]:
        """Returns the distinct shapes of an epoch, (steps, batch, length): the shapes to compile."""
        found = set()
        for length, count, size in zip(self.bucket_lengths, self._batches, self.batch_sizes, strict=True):
            for steps in (min(count, self.steps_per_block), count % self.steps_per_block):
                if steps:
                    found.add((steps, size, length))
        return sorted(found, key=lambda shape: (shape[2], shape[0]))

    def padding_waste(self) -> float:
        """Returns the share of padding among the positions of an epoch's batches, 0 to 1."""
        held = int(np.minimum(self.lengths, self.bucket_lengths[-1]).sum())
        buckets = list(zip(self.bucket_lengths, self._batches, self.batch_sizes, strict=True))
        padded = sum(length * count * size for length, count, size in buckets)
        # with drop_last each epoch leaves out other examples: count them with the mean length
        kept = min(sum(count * size for _, count, size in buckets) / len(self.lengths), 1.0)
        return max(1.0 - held * kept / padded, 0.0)


class UniformBatches:
    """Batches of examples that all have one shape, such as images.

    Args:
        n: the number of examples.
        batch_size: examples per batch.
        steps_per_block: batches per block.
        seed: the seed of the shuffling.
        order: ``"shuffled"`` or ``"sequential"``.
        drop_last: leave out the last batch if it is not full; otherwise it is filled with -1.
        weights: of each example, [n]: an epoch then draws n examples with replacement, in proportion to their weights.

    Raises:
        InputError: there are no examples, or none are left; a size is below 1.

    >>> [block.indices.tolist() for block in UniformBatches(5, 2, steps_per_block=2, order="sequential").epoch(0)]
    [[[0, 1], [2, 3]], [[4, -1]]]
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        *,
        steps_per_block: int = 1,
        seed: int = 0,
        order: Order = "shuffled",
        drop_last: bool = False,
        weights: ArrayLike | None = None,
    ):
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        _check(n, batch_size, steps_per_block, order)
        self.n, self.batch_size, self.steps_per_block = n, batch_size, steps_per_block
        self.seed, self.order, self.drop_last = seed, order, drop_last
        if not self:
            raise InputError(f"no batch left: {n} examples do not fill a batch of {batch_size}, and drop_last is set")

    def __len__(self) -> int:
        return -(-self.steps // self.steps_per_block)

    @property
    def steps(self) -> int:
        """The number of batches per epoch."""
        return self.n // self.batch_size if self.drop_last else -(-self.n // self.batch_size)

    def __repr__(self) -> str:
        return f"UniformBatches({self.n} examples, {self.steps} batches of {self.batch_size} in {len(self)} blocks)"

    def epoch(self, epoch: int) -> list[Block]:
        """Returns the blocks of an epoch, which depend on nothing requested before."""
        if self.order == "shuffled":
            random = np.random.default_rng([self.seed, epoch])
            indices = _drawn(random.permutation(self.n), self.weights, random)
        else:
            indices = np.arange(self.n)
        size = self.steps * self.batch_size
        filling = np.full(max(size - self.n, 0), -1, np.int64)
        rows = np.concatenate([indices[:size], filling]).reshape(-1, self.batch_size)
        return _blocks(rows, self.steps_per_block, 0, epoch)

    def shapes(self) -> list[tuple[int, int, int]]:
        """Returns the distinct shapes of an epoch, (steps, batch, 0)."""
        steps = {min(self.steps, self.steps_per_block), self.steps % self.steps_per_block} - {0}
        return [(count, self.batch_size, 0) for count in sorted(steps)]

    def padding_waste(self) -> float:
        """Returns the share of empty rows in an epoch's batches, 0 to 1."""
        return max(1.0 - self.n / (self.steps * self.batch_size), 0.0)


def _drawn(members: np.ndarray, weights: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
    """Returns as many examples, drawn with replacement in proportion to their weights; the same without weights."""
    if weights is None or not len(members):
        return members
    shares = weights[members]
    return random.choice(members, len(members), p=shares / shares.sum())


def _blocks(rows: np.ndarray, steps: int, length: int, epoch: int) -> list[Block]:
    return [Block(length, rows[at : at + steps], epoch=epoch) for at in range(0, len(rows), steps)]


def _check(n: int, batch_size: int, steps_per_block: int, order: str) -> None:
    if n < 1:
        raise InputError("no examples to make batches of")
    for name, value in (("batch_size", batch_size), ("steps_per_block", steps_per_block)):
        if value < 1:
            raise InputError(f"{name} is {value}, expected 1 or more")
    if order not in ("shuffled", "sequential"):
        raise InputError(f"order {order!r} is unknown: {did_you_mean(order, ('shuffled', 'sequential'))}")


def shared_buckets(
    parts: Sequence[ArrayLike], n: int, *, multiple: int = 8, longest: int | None = None
) -> tuple[int, ...]:
    """Chooses lengths to pad to for several parts of the data (train, dev, test), to share compiled programs.

    Args:
        parts: the lengths of the examples of each part.
        n: how many lengths at most.
        multiple: lengths are multiples of this.
        longest: the most that a model reads: nothing is padded beyond it, unless an example is longer.

    >>> shared_buckets([[3, 4], [30, 31]], 2), shared_buckets([[3, 4], [30, 31]], 2, longest=31)
    ((8, 32), (8, 31))
    """
    lengths = np.concatenate([np.asarray(part) for part in parts])
    found = choose_buckets(lengths, n, multiple=multiple, max_padding=0.1)
    if longest is None:
        return found
    most = max(longest, int(lengths.max()))
    return tuple(dict.fromkeys(min(length, most) for length in found))
