# SPDX-License-Identifier: BSD-2-Clause
"""Rows of unequal length as a flat array with the offsets of its rows, in memory or mapped from disk."""

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from spago_jax.errors import InputError

__all__ = ["RaggedArray", "RaggedWriter"]


class RaggedArray:
    """n rows of numbers, row i being ``values[offsets[i]:offsets[i + 1]]``.

    Args:
        values: all rows, one after the other: [total].
        offsets: int64 [n + 1], from 0 up to the number of values.

    Raises:
        InputError: the offsets do not begin at 0, do not end at the number of values, or fall.

    >>> ragged = RaggedArray([7, 8, 9, 5], [0, 3, 4])
    >>> padded, lengths = ragged.gather([1, 0, -1], 4)
    >>> padded.tolist(), lengths.tolist()
    ([[5, 0, 0, 0], [7, 8, 9, 0], [0, 0, 0, 0]], [1, 3, 0])
    """

    def __init__(self, values: ArrayLike, offsets: ArrayLike):
        # plain views: fancy indexing of np.memmap itself costs more
        self.values = np.asarray(values)
        self.offsets = np.asarray(offsets, dtype=np.int64)
        if self.offsets.ndim != 1 or not self.offsets.size or self.offsets[0] != 0:
            raise InputError(f"offsets {self.offsets[:4].tolist()}... do not begin at 0")
        if self.offsets[-1] != len(self.values) or np.any(self.offsets[1:] < self.offsets[:-1]):
            raise InputError(f"expected offsets that never fall and end at {len(self.values)}, the number of values")

    @classmethod
    def from_lengths(cls, values: ArrayLike, lengths: ArrayLike) -> "RaggedArray":
        """Makes rows of the given lengths, one after the other."""
        return cls(values, np.concatenate([[0], np.cumsum(np.asarray(lengths, np.int64))]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __repr__(self) -> str:
        return f"RaggedArray({len(self)} rows, {len(self.values)} values, {self.values.dtype})"

    @property
    def lengths(self) -> np.ndarray:
        """The length of each row: int32 [n]."""
        return np.diff(self.offsets).astype(np.int32)

    def cut(self, length: int) -> "RaggedArray":
        """Returns the same rows without what lies beyond a length; itself where nothing does.

        >>> RaggedArray([7, 8, 9, 5], [0, 3, 4]).cut(2).values.tolist()
        [7, 8, 5]
        """
        lengths = self.lengths
        if not lengths.size or lengths.max() <= length:
            return self
        places = np.arange(len(self.values)) - np.repeat(self.offsets[:-1], lengths)
        return RaggedArray.from_lengths(self.values[places < length], np.minimum(lengths, length))

    def gather(
        self, indices: ArrayLike, length: int, *, pad: int | float = 0, truncate: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Picks rows and pads them to one length.

        Args:
            indices: the rows, of any shape; -1 stands for an empty row.
            length: the length to pad to.
            pad: the value beyond a row's end.
            truncate: cut longer rows; otherwise they are an error.

        Returns:
            The padded rows, [..., length], in the type of the values, and their lengths, int32 [...].

        Raises:
            InputError: an index is out of range, or a row is longer than ``length``.
        """
        indices = np.asarray(indices, np.int64)
        if indices.size and (indices.min() < -1 or indices.max() >= len(self)):
            raise InputError(f"rows {indices.min()} to {indices.max()} requested, there are {len(self)}")
        starts = self.offsets[np.maximum(indices, 0)]
        lengths = np.where(indices < 0, 0, self.offsets[indices + 1] - starts)
        if lengths.size and lengths.max() > length:
            if not truncate:
                row = int(indices.flat[int(lengths.argmax())])
                raise InputError(f"row {row} has {lengths.max()} values, more than the length {length} to pad to")
            lengths = np.minimum(lengths, length)
        columns = np.arange(length)
        held = columns < lengths[..., None]
        padded = np.full(held.shape, pad, self.values.dtype)
        padded[held] = self.values[(starts[..., None] + columns)[held]]
        return padded, lengths.astype(np.int32)

    def save(self, folder: str | Path, name: str) -> None:
        """Writes the three files ``name.values``, ``name.offsets`` and ``name.json`` in a folder."""
        with RaggedWriter(folder, name, self.values.dtype) as writer:
            writer.extend(self.values, self.lengths)

    @classmethod
    def open(cls, folder: str | Path, name: str) -> "RaggedArray":
        """Maps a saved array into memory; nothing is read before it is used.

        Raises:
            InputError: one of its files is missing or has the wrong size.
        """
        folder = Path(folder)
        path = folder / f"{name}.json"
        try:
            about = json.loads(path.read_text())
            dtype, rows, total = np.dtype(about["dtype"]), about["rows"], about["values"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError("no ragged array: missing or incomplete", path=path) from None
        return cls(_map(folder / f"{name}.values", dtype, total), _map(folder / f"{name}.offsets", np.int64, rows + 1))


def _map(path: Path, dtype: DTypeLike, count: int) -> np.ndarray:
    expected = count * np.dtype(dtype).itemsize
    found = path.stat().st_size if path.exists() else None
    if found != expected:
        raise InputError(f"{'missing' if found is None else f'{found} bytes'}, expected {expected} bytes", path=path)
    return np.memmap(path, dtype, "r") if expected else np.empty(0, dtype)


class RaggedWriter:
    """Writes a ``RaggedArray`` to disk row by row, in constant memory; a context manager.

    The files appear when the block ends without an error, the describing ``.json`` last.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with RaggedWriter(folder, "ids", np.int32) as writer:
    ...     writer.extend([7, 8, 9, 5], [3, 1])
    >>> RaggedArray.open(folder, "ids")
    RaggedArray(2 rows, 4 values, int32)
    """

    def __init__(self, folder: str | Path, name: str, dtype: DTypeLike):
        self._folder, self._name, self._dtype = Path(folder), name, np.dtype(dtype)
        self._rows = self._total = 0
        self._files: dict[str, BinaryIO] = {}
        self._mark = f".{uuid.uuid4().hex[:8]}.part"

    def __enter__(self) -> "RaggedWriter":
        for kind in ("values", "offsets"):
            self._files[kind] = self._part(kind).open("wb", buffering=1 << 20)
        self._files["offsets"].write(np.zeros(1, np.int64).tobytes())
        return self

    def _part(self, kind: str) -> Path:
        return self._folder / f"{self._name}.{kind}{self._mark}"

    def extend(self, values: ArrayLike, lengths: ArrayLike) -> None:
        """Adds rows of the given lengths, whose values come one after the other.

        Raises:
            InputError: the lengths do not add up to the number of values.
        """
        values, lengths = np.asarray(values, self._dtype), np.asarray(lengths, np.int64)
        if lengths.sum() != len(values):
            raise InputError(f"lengths add up to {lengths.sum()}, but there are {len(values)} values")
        values.tofile(self._files["values"])
        (self._total + np.cumsum(lengths)).tofile(self._files["offsets"])
        self._rows += len(lengths)
        self._total += len(values)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for file in self._files.values():
            file.close()
        if kind is None:
            for part in self._files:
                os.replace(self._part(part), self._folder / f"{self._name}.{part}")
            about = {"dtype": self._dtype.str, "rows": self._rows, "values": self._total}
            self._part("json").write_text(json.dumps(about))
            os.replace(self._part("json"), self._folder / f"{self._name}.json")
        else:
            for part in self._files:
                with suppress(OSError):
                    self._part(part).unlink()
