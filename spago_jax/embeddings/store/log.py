# SPDX-License-Identifier: BSD-2-Clause
"""Logs of rows: what rows were before they changed, written before they change."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_HEAD = struct.Struct("<4sIQ")  # mark, check sum, rows
_MARK = b"rows"
_AT_ONCE = 4096  # rows per record


class RowLog:
    """Records of row numbers and their contents, float32 [rows, width].

    A record that a killed process did not finish is not read: its rows had not changed yet.

    Args:
        path: the file; it is made by the first record.
        width: numbers per row.
    """

    def __init__(self, path: Path, width: int):
        self.path, self.width = path, width
        self._file = -1
        self._end = 0

    def append(self, rows: np.ndarray, content: np.ndarray, *, durable: bool = False) -> None:
        """Adds rows, which are in the file when it returns; with ``durable`` also on the disk.

        Raises:
            OSError: when they cannot be written; the file is then as it was.
        """
        if self._file < 0:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            self._end = os.lseek(self._file, 0, os.SEEK_END)
        body = rows.astype("<i8").tobytes() + np.ascontiguousarray(content, "<f4").tobytes()
        record = memoryview(_HEAD.pack(_MARK, zlib.crc32(body), len(rows)) + body)
        at = self._end
        try:
            while record:
                written = os.pwrite(self._file, record, at)
                record, at = record[written:], at + written
            if durable:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end = at

    def records(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the rows and contents of each whole record."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                mark, check, count = _HEAD.unpack(head)
                size = count * (8 + 4 * self.width)
                if mark != _MARK or count > 1 << 32:
                    return
                body = file.read(size)
                if len(body) != size or zlib.crc32(body) != check:
                    return
                yield np.frombuffer(body, "<i8", count), np.frombuffer(body, "<f4", -1, 8 * count).reshape(count, -1)

    def sync(self) -> None:
        """Waits until all is on the disk."""
        if self._file >= 0:
            os.fsync(self._file)

    def close(self) -> None:
        """Closes the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def in_pieces(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Row numbers in the pieces that records have."""
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]
