# SPDX-License-Identifier: BSD-2-Clause
"""An endless stream of blocks, epoch after epoch, prepared in the background, with a position that can be saved."""

import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from spago_jax.data.batching import Batches, Block
from spago_jax.errors import InputError

__all__ = ["BlockStream", "Position"]

Position = dict[str, int]
_Item = tuple[Position, Any, BaseException | None]


class BlockStream:
    """Iterates endlessly over the blocks of ``batches``, epoch after epoch.

    One thread calls ``collate`` ahead of the consumer, at most ``prefetch`` blocks. Each item is (position, arrays),
    with the position of the block itself. ``stream.position`` is that of the next block to be delivered, whatever the
    thread has prepared: saved and restored with ``seek``, the stream continues with exactly the same items.

    Args:
        batches: ``LengthBatches``, ``UniformBatches``, ``TextChunks``, or anything with ``len`` and ``epoch``.
        collate: from a block to its arrays; called in the background thread only, in order.
        prefetch: the most blocks that may wait.
        position: where to begin.

    Raises:
        InputError: ``prefetch`` is below 1, there are no blocks, or the position is invalid.

    >>> from spago_jax.data.batching import UniformBatches
    >>> batches = UniformBatches(3, 2, order="sequential")
    >>> with BlockStream(batches, lambda block: {"x": block.indices}) as stream:
    ...     for _ in range(3):
    ...         position, arrays = next(stream)
    ...         print(position, arrays["x"].tolist())
    ...     print(stream.position)
    {'epoch': 0, 'block': 0} [[0, 1]]
    {'epoch': 0, 'block': 1} [[2, -1]]
    {'epoch': 1, 'block': 0} [[0, 1]]
    {'epoch': 1, 'block': 1}
    """

    def __init__(
        self,
        batches: Batches,
        collate: Callable[[Block], Any],
        *,
        prefetch: int = 2,
        position: Mapping[str, int] | None = None,
    ):
        if prefetch < 1:
            raise InputError(f"prefetch is {prefetch}, expected 1 or more")
        if len(batches) < 1:
            raise InputError("no blocks in an epoch: the stream would never deliver one")
        self._batches, self._collate, self._prefetch = batches, collate, prefetch
        self._worker: _Worker | None = None
        self._position = self._checked(position or {"epoch": 0, "block": 0})

    def _checked(self, position: Mapping[str, int]) -> Position:
        if set(position) != {"epoch", "block"}:
            raise InputError(f"a position has epoch and block, this one has {', '.join(sorted(position)) or 'nothing'}")
        epoch, block = int(position["epoch"]), int(position["block"])
        if epoch < 0 or not 0 <= block < len(self._batches):
            raise InputError(
                f"position epoch {epoch}, block {block}: an epoch has {len(self._batches)} blocks here"
                " (saved with other data or other batches?)"
            )
        return {"epoch": epoch, "block": block}

    @property
    def position(self) -> Position:
        """The position of the next block to be delivered, as plain JSON."""
        return dict(self._position)

    def after(self, position: Mapping[str, int], blocks: int = 1) -> Position:
        """Returns the position so many blocks later, for a consumer that lags behind the stream."""
        total = position["epoch"] * len(self._batches) + position["block"] + blocks
        return dict(zip(("epoch", "block"), divmod(total, len(self._batches)), strict=True))

    def seek(self, position: Mapping[str, int]) -> None:
        """Continues from a position; prepared blocks are dropped.

        Raises:
            InputError: the position is invalid, or beyond the epoch's blocks.
        """
        wanted = self._checked(position)
        self.close()
        self._position = wanted

    def __iter__(self) -> Iterator[tuple[Position, Any]]:
        return self

    def __next__(self) -> tuple[Position, Any]:
        if self._worker is None:
            self._worker = _Worker(self._batches, self._collate, self._prefetch, self.position)
            # the thread ends even if the stream is dropped without close
            weakref.finalize(self, self._worker.stop.set)
        position, arrays, error = self._worker.ready.get()
        if error is not None:
            self.close()
            raise error
        self._position = self.after(position)
        return position, arrays

    def close(self) -> None:
        """Ends the thread; the position stays, and the next request for an item starts another."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def __enter__(self) -> "BlockStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """The thread. It does not refer to the stream, which can thus be collected while the thread runs."""

    def __init__(self, batches: Batches, collate: Callable[[Block], Any], prefetch: int, position: Position):
        self.ready: queue.Queue[_Item] = queue.Queue(prefetch)
        self.stop = threading.Event()
        arguments = (batches, collate, position, self.ready, self.stop)
        self._thread = threading.Thread(target=_work, args=arguments, name="spago-jax-stream", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.stop.set()
        while self._thread.is_alive():
            # room for the item it may be waiting to hand over
            with suppress(queue.Empty):
                self.ready.get(timeout=0.01)
        self._thread.join()


def _work(
    batches: Batches,
    collate: Callable[[Block], Any],
    position: Position,
    ready: "queue.Queue[_Item]",
    stop: threading.Event,
) -> None:
    epoch, at = position["epoch"], position["block"]
    try:
        while True:
            blocks = batches.epoch(epoch)
            while at < len(blocks):
                if not _put(ready, ({"epoch": epoch, "block": at}, collate(blocks[at]), None), stop):
                    return
                at += 1
            epoch, at = epoch + 1, 0
    except BaseException as error:  # the consumer has to see any error
        _put(ready, ({"epoch": epoch, "block": at}, None, error), stop)


def _put(ready: "queue.Queue[_Item]", item: _Item, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False
