# SPDX-License-Identifier: BSD-2-Clause
"""A file of named tensors, mapped into memory and read one by one."""

import abc
import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Self

import numpy as np

from spago_jax.core.host_arrays import aligned
from spago_jax.errors import InputError, did_you_mean

RANK = 32  # axes; more than any model has, fewer than NumPy takes
_PIECE = 4 << 20  # bytes that are copied before the pages they came from are given back


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a tensor lies in its file.

    Args:
        dtype: of its numbers, little-endian.
        shape: as the model sees it.
        start: byte of the first number.
        strides: bytes from one number to the next along each axis; None for row-major.
        pieces: ``(start, bytes)`` of the parts of a tensor that does not lie in one piece; ``start`` is not used then.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    strides: tuple[int, ...] | None = None
    pieces: tuple[tuple[int, int], ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return prod(self.shape) * self.dtype.itemsize


class TensorFile(abc.ABC):
    """Named tensors of a file, or of several. It is a context manager; views that were read outlive it."""

    path: Path

    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """Returns the names of all tensors, in the order of the file."""

    @abc.abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor.

        Raises:
            InputError: for a name that the file does not have.
        """

    @abc.abstractmethod
    def dtype(self, name: str) -> np.dtype:
        """Returns the dtype of a tensor.

        Raises:
            InputError: for a name that the file does not have.
        """

    @abc.abstractmethod
    def read(self, name: str) -> np.ndarray:
        """Returns a read-only view into the mapped file; nothing is read from the disk before its numbers are used.

        Raises:
            InputError: for a name that the file does not have.
        """

    @abc.abstractmethod
    def copy(self, name: str, dtype: np.dtype | None = None) -> np.ndarray:
        """Returns a copy of a tensor, in another dtype if one is given, that JAX can take over without another copy.

        The pages that it came from are given back on the way, so a model that is read tensor by tensor is in memory
        once, not twice.

        Raises:
            InputError: for a name that the file does not have.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the file."""

    @abc.abstractmethod
    def __contains__(self, name: object) -> bool: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MappedFile(TensorFile):
    """The tensors of one file, from the table that the reader of its format has checked."""

    def __init__(self, path: Path, data: mmap.mmap, table: Mapping[str, Stored]):
        self.path = path
        self._data, self._table = data, table

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def names(self) -> tuple[str, ...]:
        """Returns the names of all tensors, in the order of the file."""
        return tuple(self._table)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a tensor."""
        return self._find(name).shape

    def dtype(self, name: str) -> np.dtype:
        """Returns the dtype of a tensor."""
        return self._find(name).dtype

    def read(self, name: str) -> np.ndarray:
        """Returns a read-only view into the mapped file."""
        at = self._find(name)
        if at.pieces:
            parts = [np.ndarray(size, np.uint8, self._data, start) for start, size in at.pieces]
            whole = np.concatenate(parts).view(at.dtype).reshape(at.shape)
            whole.flags.writeable = False
            return whole
        return np.ndarray(at.shape, at.dtype, self._data, at.start, at.strides)

    def copy(self, name: str, dtype: np.dtype | None = None) -> np.ndarray:
        """Returns a copy that JAX can take over, and gives back the pages that it came from."""
        at, view = self._find(name), self.read(name)
        new = aligned(view.shape, dtype or view.dtype)
        if at.strides is not None or at.pieces or not at.shape or not at.nbytes:
            new[...] = view
            first = min((start for start, _ in at.pieces), default=at.start)
            self._give_back(first, at.nbytes)
            return new
        row = at.nbytes // at.shape[0]
        rows = max(1, _PIECE // row)
        for first in range(0, at.shape[0], rows):
            new[first : first + rows] = view[first : first + rows]
            self._give_back(at.start + first * row, min(rows, at.shape[0] - first) * row)
        return new

    def close(self) -> None:
        """Closes the file; the mapping stays for as long as there are views."""
        with suppress(BufferError):
            self._data.close()

    def _find(self, name: str) -> Stored:
        if name not in self._table:
            raise InputError(f"no tensor {name!r}: {_near(name, self._table)}", path=self.path)
        return self._table[name]

    def _give_back(self, start: int, size: int) -> None:
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows, where mapped pages are not counted either
            first = start // mmap.PAGESIZE * mmap.PAGESIZE
            if size:
                self._data.madvise(mmap.MADV_DONTNEED, first, start + size - first)


def _near(name: str, names: Mapping[str, Stored]) -> str:
    text = did_you_mean(name, names)
    return text if text.startswith("did") else f"it has {len(names)}, such as {', '.join(sorted(names)[:3])}"


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """Maps a file for reading; the mapping is closed if the block raises an error, and left open otherwise.

    Raises:
        InputError: for a file that is missing, empty or not a file.
    """
    try:
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise InputError("the file is empty; copy or download it again", path=path)
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path=path) from None
    try:
        yield data
    except BaseException:
        with suppress(BufferError):
            data.close()
        raise
