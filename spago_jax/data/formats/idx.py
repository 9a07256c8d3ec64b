# SPDX-License-Identifier: BSD-2-Clause
"""IDX files, the format of MNIST: a magic number, the sizes, then the numbers, all big-endian."""

import math
from pathlib import Path

import numpy as np

from spago_jax.data.files import find_file, new_file, open_binary
from spago_jax.errors import InputError

__all__ = ["read_idx", "write_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path, *, native: bool = True) -> np.ndarray:
    """Reads an IDX file, compressed (``.gz``) or not.

    A file of bytes that is not compressed is memory-mapped. Numbers of several bytes are stored big-endian, which JAX
    does not take: they are read and turned to the machine's order, or mapped as they are with ``native=False``.
    Format: http://yann.lecun.com/exdb/mnist

    Args:
        path: the file.
        native: give numbers in the machine's byte order.

    Returns:
        An array of the stored shape and type (uint8, int8, int16, int32, float32 or float64).

    Raises:
        InputError: the file is missing, is no IDX file, is cut off or has bytes too many.

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
        mapped = path.suffix != ".gz" and expected > 0
        data = b"" if mapped else file.read(expected + 1)
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
    """Writes an IDX file, whole or not at all.

    Raises:
        InputError: the array's type is none of IDX's, or it has no dimension.
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
