# SPDX-License-Identifier: BSD-2-Clause
"""Items of an iterator that is slow to deliver, taken as they arrive."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any

_END = object()


class Arriving:
    """Reads an iterator in a thread, so that what has arrived can be answered without waiting for more.

    A pipe that delivers a line now and then is answered line by line; one that delivers faster than answers are given
    fills whole batches.

    Args:
        items: the iterator; an error that it raises is raised to whoever takes the next item.
        most: how many items may wait.

    >>> arriving = Arriving(range(3))
    >>> found = []
    >>> while part := arriving.arrived(2):
    ...     found += part
    >>> found
    [0, 1, 2]
    """

    def __init__(self, items: Iterable[Any], most: int = 1024):
        self._ready: queue.Queue[Any] = queue.Queue(most)
        self._ended = False
        threading.Thread(target=self._read, args=(iter(items),), name="spago-jax-input", daemon=True).start()

    def _read(self, items: Iterator[Any]) -> None:
        try:
            for item in items:
                self._ready.put((item, None))
            self._ready.put((_END, None))
        except BaseException as error:  # handed to the consumer
            self._ready.put((_END, error))

    def __iter__(self) -> Iterator[Any]:
        while part := self.arrived(1):
            yield from part

    def arrived(self, count: int) -> list[Any]:
        """Returns the items that are there, at most ``count`` and at least one; none after the last one."""
        found: list[Any] = []
        while len(found) < count and not self._ended:
            try:
                item, error = self._ready.get(block=not found)
            except queue.Empty:
                break
            if item is not _END:
                found.append(item)
                continue
            if error is not None and found:
                self._ready.put((_END, error))  # what came before it is answered first
                break
            self._ended = True
            if error is not None:
                raise error
        return found
