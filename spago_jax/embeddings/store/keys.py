# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a store, as bytes, and the index that finds their rows."""

import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from spago_jax.errors import InputError

KINDS = ("words", "bytes", "integers")
Key = str | bytes | int
_WAY_OUT = "the store is not whole; restore it from a copy, or make it anew"


def as_key(key: Key, kind: str) -> bytes:
    """Returns a key as the store has it; integers as eight little-endian bytes (as spaGO).

    Raises:
        InputError: for a key of another kind than the store's.

    >>> as_key("é", "words"), as_key(258, "integers")
    (b'\\xc3\\xa9', b'\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00')
    """
    if kind == "words" and isinstance(key, str):
        try:
            return key.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            return key.encode("utf-8", "surrogatepass")
    if isinstance(key, bytes) and kind != "integers":
        return key
    if kind == "integers" and isinstance(key, int | np.integer) and 0 <= key < 1 << 64:
        return int(key).to_bytes(8, "little")
    raise InputError(f"the key {key!r} is not of the store's kind, {kind}")


def from_key(key: bytes, kind: str) -> Key:
    """Returns a key as ``as_key`` took it."""
    if kind == "integers":
        return int.from_bytes(key, "little")
    return key.decode("utf-8", "surrogateescape") if kind == "words" else key


def hashes_of(keys: Iterable[bytes]) -> np.ndarray:
    """Returns the hash of each key, uint64: the same in every process."""
    digests = b"".join(hashlib.blake2b(key, digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, "<u8")


class KeyIndex:
    """Finds the rows of keys by their sorted hashes, and compares the bytes: equal hashes do no harm.

    Args:
        blob: all keys, one after the other, uint8.
        offsets: where each begins in it, and where the last ends, uint64 [count + 1].
        hashes: their hashes, sorted, uint64 [count].
        rows: the row of each hash, uint32 or uint64 [count].
    """

    def __init__(self, blob: np.ndarray, offsets: np.ndarray, hashes: np.ndarray, rows: np.ndarray):
        self.blob, self.offsets, self.hashes, self.rows = blob, offsets, hashes, rows

    def key(self, row: int) -> bytes:
        """The key of a row."""
        return self.blob[int(self.offsets[row]) : int(self.offsets[row + 1])].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        """All keys, by row."""
        for start in range(0, len(self.hashes), 1 << 16):
            ends = self.offsets[start : min(start + (1 << 16), len(self.hashes)) + 1].tolist()
            block = self.blob[ends[0] : ends[-1]].tobytes()
            for begin, end in pairwise(ends):
                yield block[begin - ends[0] : end - ends[0]]

    def find(self, keys: Sequence[bytes]) -> np.ndarray:
        """The row of each key, int64; -1 for one that is not there."""
        wanted = hashes_of(keys)
        places = np.searchsorted(self.hashes, wanted).tolist()
        found = np.full(len(keys), -1, np.int64)
        for number, (place, key, digest) in enumerate(zip(places, keys, wanted.tolist(), strict=True)):
            while place < len(self.hashes) and int(self.hashes[place]) == digest:
                row = int(self.rows[place])
                if self.key(row) == key:
                    found[number] = row
                    break
                place += 1
        return found


def refuse_short(path: Path, size: int) -> None:
    """Refuses a file that is missing or has fewer bytes; a longer one is one that grows.

    Raises:
        InputError: then.
    """
    try:
        held = path.stat().st_size
    except FileNotFoundError:
        raise InputError(f"missing: {_WAY_OUT}", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be opened: {error.strerror or error}", path=path) from None
    if held < size:
        raise InputError(f"has {held:,} bytes, expected {size:,}: {_WAY_OUT}", path=path)


def mapped(path: Path, dtype: str, count: int) -> np.ndarray:
    """Maps a file of numbers.

    Raises:
        InputError: for a file that is missing or too short.
    """
    refuse_short(path, np.dtype(dtype).itemsize * count)
    return np.asarray(np.memmap(path, dtype, "r", 0, (count,))) if count else np.empty(0, dtype)


if sys.byteorder != "little":  # the files are little-endian, and are mapped as they are
    raise ImportError("stores of vectors need a little-endian machine")
