# SPDX-License-Identifier: BSD-2-Clause
"""Rows of numbers in a file, of which those that are asked for are read and written."""

import errno
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spago_jax.embeddings.store.keys import refuse_short
from spago_jax.errors import InputError


class Table:
    """Rows of one length, float32 [count, columns], in a file.

    They are read and written by their places, and not through a map of the file: nothing of the table stays in the
    process's memory, and a row in the system's cache costs one call of it, where a page that is not mapped yet costs
    several times as much, and brings in its neighbors. Rows side by side are one call.

    Args:
        path: the file.
        count: rows.
        columns: numbers per row.
        write: whether rows are changed.

    Raises:
        InputError: for a file that is missing or too short.
    """

    def __init__(self, path: Path, count: int, columns: int, *, write: bool = False):
        self.path, self.count, self.columns = path, count, columns
        refuse_short(path, 4 * count * columns)
        self._file = os.open(path, os.O_RDWR if write else os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._file)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Returns rows by their numbers [n], float32 [n, columns].

        Raises:
            InputError: where the file has become shorter.
        """
        found = np.empty((len(rows), self.columns), np.float32)
        if found.size:
            room, read, file = found.data.cast("B"), os.preadv, self._file
            for begin, end, at in self._runs(rows):
                if read(file, [room[begin:end]], at) != end - begin:
                    self._finish(room[begin:end], at)
        return found

    def scatter(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Sets rows, which are all different, to values [n, columns].

        Raises:
            OSError: where they cannot be written.
        """
        values = np.ascontiguousarray(values, "<f4")
        if values.size:
            data, write, file = values.data.cast("B"), os.pwrite, self._file
            for begin, end, at in self._runs(rows):
                while begin < end:
                    written = write(file, data[begin:end], at)
                    if not written:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    begin, at = begin + written, at + written

    def sync(self) -> None:
        """Waits until all is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Lets go of the file."""
        self._close()

    def _runs(self, rows: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """Where rows that lie side by side begin and end among those that are asked for, and where they are in the
        file, in bytes."""
        size = 4 * self.columns
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        ends = np.append(starts[1:], len(rows))
        return zip((starts * size).tolist(), (ends * size).tolist(), (rows[starts] * size).tolist(), strict=True)

    def _finish(self, room: memoryview, at: int) -> None:
        """Reads what one call does not: the system returns at most 2 GiB at once."""
        while room:
            if not (got := os.preadv(self._file, [room], at)):
                refuse_short(self.path, 4 * self.count * self.columns)
                raise InputError("has become shorter while it was read", path=self.path)
            room, at = room[got:], at + got


def reserve(file: int, size: int) -> None:
    """Makes a new file this long, of zeros, with room for it on the disk: a full one is known now.

    Raises:
        OSError: when the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    empty = bytes(1 << 20)  # macOS lacks the call
    for start in range(0, size, len(empty)):
        os.pwrite(file, empty[: size - start], start)
