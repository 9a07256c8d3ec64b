# SPDX-License-Identifier: BSD-2-Clause
"""IDX files, the format of MNIST: a magic number, the sizes, then the numbers, all big-endian."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from spago_jax.core.section import DataPath
from spago_jax.data.examples import Picture
from spago_jax.data.files import find_file, new_file, open_binary, read_up_to
from spago_jax.data.formats.reader import Reader, as_files, refuse_missing
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError

__all__ = ["Idx", "read_idx", "write_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class Idx(Reader):
    """Pictures and labels in IDX files, the format of MNIST."""

    format: Literal["idx"]
    train_images: DataPath = Field(description="IDX file of images (.gz is read too)")
    train_labels: DataPath = Field(description="IDX file of labels")
    test_images: DataPath | None = Field(default=None, description="IDX file of test images")
    test_labels: DataPath | None = Field(default=None, description="IDX file of test labels")
    dev_examples: int = Field(default=0, ge=0, description="the last so many training images become dev")

    def files(self, split: str) -> list[Path]:
        """Returns the file of images and the file of labels of a part of the data."""
        if split == "dev" and not self.dev_examples:
            return []
        name = "train" if split == "dev" else split
        named = [getattr(self, f"{name}_{kind}", None) for kind in ("images", "labels")]
        return as_files([path for path in named if path is not None]) if all(named) else []

    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Picture]:
        """Yields the pictures of a part of the data."""
        images, labels = _pair(*(self.files(split) if files is None else files))
        if files is None and split in ("train", "dev"):
            cut = len(labels) - self.dev_examples
            if cut <= 0:
                raise InputError(
                    f"data.dev_examples = {self.dev_examples} leaves none of {len(labels)} images to train on"
                )
            part = slice(cut, None) if split == "dev" else slice(cut)
            images, labels = images[part], labels[part]
        for pixels, label in zip(images, labels, strict=True):
            yield Picture(pixels, int(label))

    def check(self) -> None:
        """Refuses missing files, before any work."""
        keys = ("train_images", "train_labels", "test_images", "test_labels")
        refuse_missing({f"data.{key}": as_files(getattr(self, key)) for key in keys})


def _pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3:
        raise InputError(f"holds an array of shape {list(images.shape)}, expected [n, height, width]", path=images_path)
    if labels.shape != images.shape[:1]:
        raise InputError(f"{len(labels)} labels for {len(images)} images", path=labels_path)
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels of the type {labels.dtype}, expected whole numbers", path=labels_path)
    if len(labels) and labels.min() < 0:
        place = int(np.argmax(labels < 0))
        message = f"label {place} is {labels[place]}, expected 0 or more: classes count from 0"
        raise InputError(message, path=labels_path)
    return images, labels


def read_idx(path: str | Path, *, native: bool = True) -> np.ndarray:
    """Reads an IDX file, compressed (``.gz``) or not.

    An uncompressed file of bytes is memory-mapped. Numbers of several bytes are stored big-endian, which JAX does not
    accept: they are read and converted to the machine's order, or mapped as they are with ``native=False``.
    Format: http://yann.lecun.com/exdb/mnist

    Args:
        path: the file.
        native: return numbers in the machine's byte order.

    Returns:
        An array of the stored shape and type (uint8, int8, int16, int32, float32 or float64).

    Raises:
        InputError: the file is missing, is not an IDX file, is cut off or has too many bytes.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a-idx1-ubyte")
    >>> write_idx(file, np.array([3, 1, 4], np.uint8))
    >>> read_idx(file).tolist()
    [3, 1, 4]
    """
    path = find_file(path)
    with open_binary(path) as file:
        start = file.read(4)
        if len(start) < 4:
            raise InputError(f"cut off: {len(start)} bytes, expected the 4 of an IDX magic number", path=path)
        if start[0] or start[1] or start[2] not in _TYPES or not start[3]:
            raise InputError(
                f"not an IDX file: it begins with {start.hex(' ')}, expected 00 00, a type"
                f" ({', '.join(f'{code:02x}' for code in _TYPES)}) and the number of dimensions",
                path=path,
            )
        dtype = np.dtype(_TYPES[start[2]])
        sizes = file.read(4 * start[3])
        if len(sizes) < 4 * start[3]:
            raise InputError(f"cut off within the sizes of its {start[3]} dimensions", path=path)
        shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
        offset = 4 + 4 * start[3]
        expected = math.prod(shape) * dtype.itemsize
        mapped = path.suffix != ".gz" and expected > 0 and path.is_file()
        data = b"" if mapped else read_up_to(file, expected + 1)
        found = path.stat().st_size - offset if mapped else len(data)
        if found != expected:
            state = "cut off" if found < expected else "too long"
            count = f"{found}" if mapped or found < expected else f"more than {expected}"
            raise InputError(
                f"{state}: {count} bytes of data, expected {expected} for {list(shape)} of {dtype.newbyteorder('=')}",
                path=path,
            )
    if mapped:
        array = np.memmap(path, dtype, "r", offset, shape)
    else:
        array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("=")) if native and dtype.itemsize > 1 else array


def write_idx(path: str | Path, array: np.ndarray) -> None:
    """Writes an IDX file, completely or not at all.

    Raises:
        InputError: the array's type is not one of IDX's, or it has no dimension.
    """
    codes = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None or not 1 <= array.ndim <= 255:
        known = ", ".join(str(dtype) for dtype in codes)
        raise InputError(f"IDX has no {array.ndim}-dimensional {array.dtype}; its types are {known}", path=path)
    with new_file(path) as file:
        file.write(bytes([0, 0, code, array.ndim]))
        file.write(np.array(array.shape, ">u4").tobytes())
        file.write(array.astype(_TYPES[code]).tobytes())
