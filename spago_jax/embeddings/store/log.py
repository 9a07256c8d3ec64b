# SPDX-License-Identifier: BSD-2-Clause
"""Logs of rows: what rows were before they changed, written before they change."""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

_HEAD = struct.Struct("<4sIQQ")  # mark, number of the log, check sum, rows
_MARK = b"row2"
_OLD_HEAD = struct.Struct("<4sIQ")  # mark, check sum, rows
_OLD_MARK = b"rows"
_AT_ONCE = 4096  # rows per record


class RowLog:
    """Records of row numbers and their contents: for each width an array, float32 [rows, width].

    A record that a killed process did not finish is not read: its rows had not changed yet. A log may be made of the
    file of an older one, whose pages the system has at hand already: every record says the number of its log.

    Args:
        path: the file; it is made by the first record.
        widths: numbers per row, of each array.
        number: of the log; no other log of the folder has it.
        spare: a file that is made into this log's, if it is there.
    """

    def __init__(self, path: Path, widths: Sequence[int], number: int = 0, spare: Path | None = None):
        self.path, self.widths, self.number, self._spare = path, tuple(widths), number, spare
        self._file = -1
        self._end = 0

    def append(self, rows: np.ndarray, contents: Sequence[np.ndarray], *, durable: bool = False) -> None:
        """Adds rows, which are in the file when it returns; with ``durable`` also on the disk.

        Raises:
            OSError: when they cannot be written; the log is then as it was.
        """
        if self._file < 0:
            if self._spare is not None:
                with suppress(FileNotFoundError):
                    os.replace(self._spare, self.path)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        body = [rows.astype("<i8"), *(np.ascontiguousarray(each, "<f4") for each in contents)]
        head = _HEAD.pack(_MARK, self.number, _sum_of(body), len(rows))
        at = self._end
        try:
            for part in (memoryview(head), *(each.data.cast("B") for each in body if each.size)):
                while part:
                    written = os.pwrite(self._file, part, at)
                    part, at = part[written:], at + written
            if durable:
                os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end = at

    def records(self) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Yields the rows and contents of each whole record."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            while (found := self._next(file)) is not None:
                yield found

    def _next(self, file: BinaryIO) -> tuple[np.ndarray, list[np.ndarray]] | None:
        width = sum(self.widths)
        if len(head := file.read(_OLD_HEAD.size)) < _OLD_HEAD.size:
            return None
        old = head[:4] == _OLD_MARK
        if old:
            _, check, count = _OLD_HEAD.unpack(head)
        else:
            if len(head := head + file.read(_HEAD.size - len(head))) < _HEAD.size:
                return None
            mark, number, check, count = _HEAD.unpack(head)
            if mark != _MARK or number != self.number:
                return None
        size = count * (8 + 4 * width)
        if not 0 < count <= 1 << 32 or len(body := file.read(size)) != size:
            return None
        rows = np.frombuffer(body, "<i8", count)
        if old:  # a row's arrays stand side by side
            whole = np.frombuffer(body, "<f4", -1, 8 * count).reshape(count, width)
            held = np.split(whole, np.cumsum(self.widths)[:-1], axis=1)
            return (rows, held) if zlib.crc32(body) == check else None
        held, at = [], 8 * count
        for each in self.widths:
            held.append(np.frombuffer(body, "<f4", count * each, at).reshape(count, each))
            at += 4 * count * each
        return (rows, held) if _sum_of([rows, *held]) == check else None

    def sync(self) -> None:
        """Waits until all is on the disk."""
        if self._file >= 0:
            os.fsync(self._file)

    def close(self) -> None:
        """Closes the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def _sum_of(arrays: Sequence[np.ndarray]) -> int:
    """The sum of the arrays' bits, which shows what a killed process, or a loss of power, left out of a record: at the
    speed of memory, where zlib's sums take longer than the writing."""
    total = 0
    for each in arrays:
        words = each.reshape(-1).view("<u4")
        even = len(words) // 2 * 2
        total += int(words[:even].view("<u8").sum(dtype=np.uint64)) + int(words[even:].sum(dtype=np.uint64))
    return total & 0xFFFF_FFFF_FFFF_FFFF


def in_pieces(count: int) -> Iterator[slice]:
    """The pieces that records have, of this many rows."""
    for start in range(0, count, _AT_ONCE):
        yield slice(start, start + _AT_ONCE)
