# SPDX-License-Identifier: BSD-2-Clause
"""Stream: one text that is written step by step, and read piece by piece."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from spago_jax.serve.engine.problems import Problem, problem_of
from spago_jax.serve.engine.request import Request
from spago_jax.tasks.predictor import Prepared


class Stream:
    """One text as it is written.

    Args:
        request: whose deadline and caller it has.
        prepared: what it is written from.

    Attributes:
        pieces: how many were written.
    """

    def __init__(self, request: Request, prepared: Prepared | None = None):
        self.request, self.prepared, self.pieces, self.ended = request, prepared, 0, False
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._told: Callable[[], object] = lambda: None
        self._steps: Iterator[str] | None = None

    def advance(self, now: float) -> bool:
        """Writes one more piece; returns whether there may be more. Runs in the thread that computes."""
        gone = self.request.gone(now)
        if gone is not None:
            self.end(gone)
            return False
        try:
            if self._steps is None:
                assert self.prepared is not None
                self._steps = iter(self.prepared.by.streamed(self.prepared))
            piece = next(self._steps, None)
        except Exception as error:
            self.end(problem_of(error))
            return False
        if piece is None:
            self.end(None)
            return False
        self.pieces += 1
        self._put(piece)
        return True

    def end(self, problem: Problem | None) -> None:
        """Ends it; what writes is told to stop."""
        if self.ended:
            return
        self.ended = True
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()
        self._put(problem)

    def _put(self, item: Any) -> None:
        self._ready.put(item)
        self._told()

    def __iter__(self) -> Iterator[str]:
        """Yields the pieces.

        Raises:
            Problem: where it ends too early.
        """
        while isinstance(item := self._ready.get(), str):
            yield item
        if item is not None:
            raise item

    async def read(self) -> AsyncIterator[str]:
        """Yields the pieces in an event loop; whoever stops reading cancels the stream.

        Raises:
            Problem: where it ends too early.
        """
        loop, woken = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(woken.set)
            except RuntimeError:  # the loop is closed, and nobody reads
                self.request.cancel()

        self._told = tell
        try:
            while True:
                while self._ready.empty():
                    await woken.wait()
                    woken.clear()
                item = self._ready.get()
                if not isinstance(item, str):
                    if item is not None:
                        raise item
                    return
                yield item
        finally:
            if not self.ended:
                self.request.cancel()
