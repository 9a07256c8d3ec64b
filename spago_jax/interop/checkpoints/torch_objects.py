# SPDX-License-Identifier: BSD-2-Clause
"""Opens PyTorch's files of whole objects, of both containers, without running or importing anything."""

import mmap
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record, array_of, read_file_objects
from spago_jax.interop.checkpoints.inert_pickle import Storage, Tensor
from spago_jax.interop.checkpoints.tensor_file import mapped
from spago_jax.interop.checkpoints.torch_files import MAGIC, Place, legacy_layout, stored, zip_layout


class TorchObjects:
    """What a file of PyTorch holds: plain values, records of objects, and descriptions of tensors.

    Attributes:
        path: the file.
        value: what was saved.
    """

    def __init__(self, path: Path, data: mmap.mmap, value: object, place: Place):
        self.path, self.value = path, value
        self._data, self._place = data, place

    def array(self, value: object, where: str) -> np.ndarray:
        """Returns the numbers of a tensor, a read-only view into the file, or of a NumPy array.

        Args:
            value: from ``self.value``.
            where: what it is, for messages.

        Raises:
            InputError: for something else, or a tensor that does not fit its storage.
        """
        if not isinstance(value, Tensor):
            if isinstance(value, Record) and value.name == "numpy.ndarray":
                return array_of(value, self.path)
            found = f"an object of {value.name}" if isinstance(value, Record) else f"a {type(value).__name__}"
            raise InputError(f"{where} is {found}, expected a tensor", path=self.path)
        at = stored(where, value, self._place(value.storage), self.path)
        return np.ndarray(at.shape, at.dtype, self._data, at.start, at.strides)


def open_objects(path: str | Path) -> TorchObjects:
    """Opens a file that ``torch.save`` wrote, whatever objects are in it.

    Raises:
        InputError: for a file that is missing, damaged, too large, or not one of PyTorch's.
    """
    path = Path(path)
    with mapped(path) as data:
        stream = cast("BinaryIO", data)  # which has all of it that is needed
        if data[:4] == b"PK\x03\x04":
            start, size, place = zip_layout(data, path)
            data.seek(start)
            value, _ = read_file_objects(stream, path, len(data) + 1)
            if data.tell() > start + size:
                raise InputError("the pickle is damaged: it goes on beyond its member of the archive", path=path)
            return TorchObjects(path, data, value, place)
        if data[:1] != b"\x80":
            raise InputError(
                f"not a file of PyTorch: it begins with {bytes(data[:8])!r}; is the download complete?", path=path
            )
        values: list[Any] = []
        storages: dict[str, Storage] = {}
        for _ in range(5):
            value, found = read_file_objects(stream, path, len(data) + 1)
            values.append(value)
            storages |= found
            if values[0] != MAGIC:
                raise InputError("a pickle, but not a file of PyTorch (its magic number is missing)", path=path)
        return TorchObjects(path, data, values[3], legacy_layout(data, path, data.tell(), values, lambda _: storages))
