# SPDX-License-Identifier: BSD-2-Clause
"""Reads floret's text format: a small table of hashed words and n-grams, which gives any word a vector."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spago_jax.embeddings.formats.rows import Sink, as_bytes
from spago_jax.errors import InputError

_FIELDS = ("bucket", "dim", "minn", "maxn", "hashCount", "hashSeed", "BOW", "EOW")
_MASK = (1 << 64) - 1
_FIRST, _SECOND = 0x87C37B91114253D5, 0x4CF5AD432745937F


class FloretVectors:
    """``v(w)`` is the mean of rows: of ``hashes`` rows for the marked word, and for each of its n-grams.

    Args:
        rows: the table, [buckets, dimensions].
        shortest: characters of an n-gram, at least.
        longest: characters of an n-gram, at most; 0: the word alone.
        hashes: rows per n-gram, 1 to 4.
        seed: of the hash.
        begin: the mark before a word.
        end: the mark after it.
    """

    def __init__(
        self, rows: np.ndarray, shortest: int, longest: int, hashes: int, seed: int, begin: str = "<", end: str = ">"
    ):
        self.rows, self.shortest, self.longest, self.hashes, self.seed = rows, shortest, longest, hashes, seed
        self.begin, self.end = begin, end

    def compose(self, words: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the vectors [n, dimensions], and which words are not empty, bool [n]."""
        words = list(words)
        made = np.zeros((len(words), self.rows.shape[1]), np.float32)
        known = np.array([bool(word) for word in words], bool)
        for place, word in enumerate(words):
            if word:
                made[place] = self.rows[self._buckets(word)].mean(0, dtype=np.float32)
        return made, known

    def _buckets(self, word: str) -> list[int]:
        marked = f"{self.begin}{word}{self.end}"
        parts = [marked]
        for start in range(len(marked)):
            for size in range(self.shortest, self.longest + 1):
                if start + size > len(marked):
                    break
                if size > 1 or 0 < start < len(marked) - 1:  # not a mark alone
                    parts.append(marked[start : start + size])
        return [
            lane % len(self.rows) for part in parts for lane in murmur_lanes(as_bytes(part), self.seed)[: self.hashes]
        ]


def is_floret(line: bytes) -> bool:
    """Whether a first line is a header of floret's."""
    fields = line.split()
    return len(fields) == len(_FIELDS) and all(field.isdigit() for field in fields[:6]) and int(fields[1]) > 0


def read_floret(path: Path, file: BinaryIO, first: bytes, sink: Sink) -> None:
    """Reads the table. It has no words of its own: those that are wanted get the vectors composed for them.

    Raises:
        InputError: for a header or a row that cannot be read, or rows that are missing.
    """
    fields = first.decode("utf-8", "replace").split(" ")
    fields[-1] = fields[-1].rstrip("\r\n")
    buckets, size, shortest, longest, hashes, seed = map(int, fields[:6])
    if not 1 <= hashes <= 4 or buckets < 1:
        raise InputError(f"{hashes} hashes over {buckets} rows, expected 1 to 4 hashes", path=path, line=1)
    rows = None
    read = 0
    for number, line in enumerate(file, 2):
        if not line.strip():
            continue
        parts = line.split()
        if len(parts) != size + 1 or not parts[0].isdigit() or int(parts[0]) >= buckets:
            raise InputError(f"expected the number of a row and {size} values", path=path, line=number)
        try:
            values = np.array(list(map(float, parts[1:])), np.float32)
        except ValueError:
            raise InputError("a value that is not a number", path=path, line=number) from None
        if not np.isfinite(values).all():
            raise InputError("a value that is not finite", path=path, line=number)
        if rows is None:
            rows = np.zeros((buckets, size), np.float32)
        rows[int(parts[0])] = values
        read += 1
    if rows is None or read != buckets:
        raise InputError(f"{read} rows, the header says {buckets}: the file is cut off", path=path)
    composed: Any = FloretVectors(rows, shortest, longest, hashes, seed, fields[6], fields[7])
    sink.subwords = composed
    sink.begin(size)
    wanted = sorted(word for word in sink.wanted or () if sink.wants(word))
    made, _ = composed.compose([word.decode("utf-8", "surrogateescape") for word in wanted])
    for word, vector in zip(wanted, made, strict=True):
        sink.add(word, vector)


def murmur_lanes(data: bytes, seed: int) -> tuple[int, int, int, int]:
    """Returns the four 32-bit lanes of MurmurHash3_x64_128 (Appleby), from the lowest bits on.

    >>> murmur_lanes(b"", 0), hex(murmur_lanes(b"foo", 0)[0])
    ((0, 0, 0, 0), '0x1f54561')
    """
    one = two = seed & 0xFFFFFFFF
    body = len(data) // 16 * 16
    for at in range(0, body, 16):
        one ^= _mix_first(int.from_bytes(data[at : at + 8], "little"))
        one = ((_rotated(one, 27) + two) * 5 + 0x52DCE729) & _MASK
        two ^= _mix_second(int.from_bytes(data[at + 8 : at + 16], "little"))
        two = ((_rotated(two, 31) + one) * 5 + 0x38495AB5) & _MASK
    tail = data[body:]
    two ^= _mix_second(int.from_bytes(tail[8:], "little"))
    one ^= _mix_first(int.from_bytes(tail[:8], "little"))
    one, two = one ^ len(data), two ^ len(data)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    one, two = _finished(one), _finished(two)
    one = (one + two) & _MASK
    two = (two + one) & _MASK
    return one & 0xFFFFFFFF, one >> 32, two & 0xFFFFFFFF, two >> 32


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK


def _mix_first(value: int) -> int:
    return _rotated(value * _FIRST & _MASK, 31) * _SECOND & _MASK


def _mix_second(value: int) -> int:
    return _rotated(value * _SECOND & _MASK, 33) * _FIRST & _MASK


def _finished(value: int) -> int:
    value = (value ^ (value >> 33)) * 0xFF51AFD7ED558CCD & _MASK
    value = (value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ (value >> 33)
