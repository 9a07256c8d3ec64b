# SPDX-License-Identifier: BSD-2-Clause
"""A long text in parallel streams, whose consecutive chunks train a character model that carries its state."""

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from spago_jax.data.batching import Block
from spago_jax.errors import InputError

__all__ = ["TextChunks", "gather_windows"]


class TextChunks:
    """Next-character examples: row b of a batch continues where row b of the batch before it ended.

    The n - 1 pairs of a character and the next one are cut into ``batch_size`` streams of equal width, one
    after the other, and each stream into chunks of ``chunk`` characters. A block's ``indices`` are the positions in
    the text where its rows begin, and its ``first`` says that the streams begin: a carried state is reset there.
    None of the text is held in memory.

    Args:
        ids: the character ids, [n]; may be memory-mapped.
        batch_size: the number of streams.
        chunk: characters per chunk, the steps that gradients go back.
        steps_per_block: chunks per block.
        seed: if given, each epoch begins at a random one of the first ``chunk`` characters, so that the cuts differ.
        keep_tail: yield every pair of the text exactly once, with shorter last chunks (``lengths`` says how short);
            otherwise pairs that do not fill whole chunks in all streams are left out. For evaluation, without
            ``seed``.

    Raises:
        InputError: the text is too short for one chunk in each stream; a size is below 1; both ``seed`` and
            ``keep_tail`` are given.

    >>> chunks = TextChunks(np.arange(9), batch_size=2, chunk=2)
    >>> block = chunks.epoch(0)[1]
    >>> block.indices.tolist(), block.first
    ([[2, 6]], False)
    >>> {name: array.tolist() for name, array in chunks.gather(block).items()}
    {'inputs': [[[2, 3], [6, 7]]], 'targets': [[[3, 4], [7, 8]]], 'lengths': [[2, 2]]}
    """

    def __init__(
        self,
        ids: ArrayLike,
        batch_size: int,
        chunk: int,
        *,
        steps_per_block: int = 1,
        seed: int | None = None,
        keep_tail: bool = False,
    ):
        self.ids = np.asarray(ids)
        for name, value in (("batch_size", batch_size), ("chunk", chunk), ("steps_per_block", steps_per_block)):
            if value < 1:
                raise InputError(f"{name} is {value}, expected 1 or more")
        if seed is not None and keep_tail:
            raise InputError("seed and keep_tail are both given: a random start leaves characters out")
        self.batch_size, self.chunk, self.steps_per_block = batch_size, chunk, steps_per_block
        self.seed, self.keep_tail = seed, keep_tail
        pairs = max(len(self.ids) - 1, 0)
        if keep_tail:
            self._width = -(-pairs // batch_size)
            self.steps = -(-self._width // chunk)
        else:
            self._width = max(pairs - (0 if seed is None else chunk - 1), 0) // batch_size
            self.steps = self._width // chunk
        if not self.steps:
            needed = 2 if keep_tail else batch_size * chunk + 1 + (0 if seed is None else chunk - 1)
            raise InputError(
                f"a text of {len(self.ids)} characters is too short for {batch_size} streams of chunks of {chunk}:"
                f" {needed} are needed; take a smaller batch_size or chunk"
            )

    def __len__(self) -> int:
        return -(-self.steps // self.steps_per_block)

    def __repr__(self) -> str:
        return (
            f"TextChunks({len(self.ids)} characters, {self.steps} steps of {self.batch_size} x {self.chunk}"
            f" in {len(self)} blocks)"
        )

    def offset(self, epoch: int) -> int:
        """Returns the position of the first character of an epoch."""
        return 0 if self.seed is None else int(np.random.default_rng([self.seed, epoch]).integers(self.chunk))

    def epoch(self, epoch: int) -> list[Block]:
        """Returns the blocks of an epoch, in the order of the text."""
        streams = self.offset(epoch) + np.arange(self.batch_size) * self._width
        rows = streams[None, :] + np.arange(self.steps)[:, None] * self.chunk
        if self.keep_tail:
            rows[rows >= np.minimum(streams + self._width, len(self.ids) - 1)] = -1
        size = self.steps_per_block
        return [Block(self.chunk, rows[at : at + size], first=at == 0, epoch=epoch) for at in range(0, len(rows), size)]

    def shapes(self) -> list[tuple[int, int, int]]:
        """Returns the distinct shapes of an epoch, (steps, batch, chunk)."""
        steps = {min(self.steps, self.steps_per_block), self.steps % self.steps_per_block} - {0}
        return [(count, self.batch_size, self.chunk) for count in sorted(steps)]

    def padding_waste(self) -> float:
        """Returns the share of padding among the positions of an epoch's batches, 0 to 1."""
        return 1.0 - (len(self.ids) - 1) / (self.steps * self.batch_size * self.chunk) if self.keep_tail else 0.0

    def gather(self, block: Block, *, dtype: DTypeLike = np.int32) -> dict[str, np.ndarray]:
        """Returns the arrays of a block.

        Returns:
            ``inputs`` and ``targets`` (each the character after its input), [steps, batch, chunk], 0 beyond
            ``lengths``, int32 [steps, batch].
        """
        ends = self.ends() if self.keep_tail else np.array([max(len(self.ids) - 1, 0)])
        return gather_windows(self.ids, block.indices, self.chunk, ends, dtype=dtype)

    def ends(self) -> np.ndarray:
        """Returns the position after the last one of each stream, ascending; the last stream ends with the text."""
        return np.minimum((np.arange(self.batch_size) + 1) * self._width, len(self.ids) - 1)


def gather_windows(
    ids: np.ndarray, starts: np.ndarray, length: int, ends: np.ndarray, *, dtype: DTypeLike = np.int32
) -> dict[str, np.ndarray]:
    """Returns windows of a text, and the next character after each of their characters.

    Args:
        ids: the text.
        starts: where windows begin, int64 of any shape; -1 for an empty window.
        length: the length of a window.
        ends: ascending positions; a window ends at the first one beyond its start.
        dtype: the dtype of the ids.

    Returns:
        ``inputs`` and ``targets``, [..., length], 0 beyond ``lengths``, int32 [...].

    >>> found = gather_windows(np.arange(7), np.array([0, 3, -1]), 3, np.array([3, 5]))
    >>> found["inputs"].tolist(), found["targets"].tolist(), found["lengths"].tolist()
    ([[0, 1, 2], [3, 4, 0], [0, 0, 0]], [[1, 2, 3], [4, 5, 0], [0, 0, 0]], [3, 2, 0])
    """
    ids = ids if len(ids) else np.zeros(1, dtype)
    end = ends[np.minimum(np.searchsorted(ends, np.maximum(starts, 0), side="right"), len(ends) - 1)]
    lengths = np.where(starts < 0, 0, np.clip(end - starts, 0, length))
    positions = np.maximum(starts, 0)[..., None] + np.arange(length + 1)
    window = ids[np.minimum(positions, len(ids) - 1)].astype(dtype)
    held = np.arange(length) < lengths[..., None]
    return {
        "inputs": np.where(held, window[..., :-1], 0).astype(dtype),
        "targets": np.where(held, window[..., 1:], 0).astype(dtype),
        "lengths": lengths.astype(np.int32),
    }
