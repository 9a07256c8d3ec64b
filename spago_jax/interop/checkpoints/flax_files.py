# SPDX-License-Identifier: BSD-2-Clause
"""Reads the table of Flax's ``flax_model.msgpack``, under the names and in the layout that PyTorch's files have.

``flax.serialization`` holds the whole file and a copy of each array in memory; this reader notes where the arrays lie.
Kernels are ``[in, out]`` there and are transposed; ``scale`` and ``embedding`` are called ``weight``.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.tensor_file import RANK, Stored

_DEPTH = 64
_ARRAY = 1  # the extension type of an array
_CHUNKED = "__msgpack_chunked_array__"
_FLOATS = {name: np.dtype(getattr(ml_dtypes, name)) for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")}
_PLAIN = {"float16", "float32", "float64", "bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))}
_WEIGHT = {"kernel", "scale", "embedding"}
# First bytes whose value takes a fixed number of bytes: nil, booleans, floats, integers.
_SKIPPED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, **{0xCC + n: 1 << n % 4 for n in range(8)}}
_FIXED_EXTENSION = {0xD4 + n: 1 << n for n in range(5)}


@dataclass(frozen=True, slots=True)
class _Span:
    """Bytes or an extension, by place."""

    start: int
    size: int
    kind: int | None = None  # of an extension


def flax_table(data: mmap.mmap, path: Path) -> dict[str, Stored]:
    """Returns where each tensor lies, under PyTorch's names.

    Raises:
        InputError: for a file that is damaged, or is not a tree of named arrays.
    """
    reader = _Reader(data, len(data))
    try:
        tree = reader.value()
        if reader.at != len(data):
            raise ValueError(f"{len(data) - reader.at:,} bytes follow the tree")
        if isinstance(tree, dict) and set(tree) == {"params"}:
            tree = tree["params"]
        table: dict[str, Stored] = {}
        for keys, leaf in _leaves(tree, ()):
            stored = _chunked(leaf, reader) if isinstance(leaf, dict) else _array(leaf, reader)
            name = torch_name("/".join(keys))
            if name in table:
                raise ValueError(f"two arrays would be called {name!r}")
            if keys[-1] == "kernel" and len(stored.shape) == 2:
                rows, columns = stored.shape
                width = stored.dtype.itemsize
                if stored.pieces:
                    raise ValueError(f"the kernel {name!r} is split, which is not read")
                stored = Stored(stored.dtype, (columns, rows), stored.start, (width, columns * width))
            table[name] = stored
    except InputError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"not a Flax model, or damaged: {error}; copy or download it again", path=path) from None
    if not table:
        raise InputError("holds no arrays", path=path)
    return table


def torch_name(name: str) -> str:
    """Returns the name that PyTorch's files have for a parameter of Flax.

    >>> torch_name("encoder/layer/0/attention/self/query/kernel")
    'encoder.layer.0.attention.self.query.weight'
    """
    *path, last = name.split("/")
    return ".".join([*path, "weight" if last in _WEIGHT else last])


def _leaves(tree: object, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, dict) and _CHUNKED not in tree:
        for key, value in tree.items():
            yield from _leaves(value, (*keys, key))
    elif keys:
        yield keys, tree
    else:
        raise ValueError("the file does not begin with a map")


def _array(leaf: object, reader: "_Reader") -> Stored:
    if not isinstance(leaf, _Span) or leaf.kind != _ARRAY:
        raise TypeError("a leaf of the tree is not an array")
    inner = _Reader(reader.data, leaf.start + leaf.size, leaf.start)
    shape, dtype, buffer = inner.value()
    if not isinstance(shape, list) or len(shape) > RANK or not all(isinstance(n, int) for n in shape):
        raise TypeError("an array has no shape")
    if dtype not in _PLAIN and dtype not in _FLOATS:
        raise ValueError(f"an array has the dtype {dtype!r}")
    kind = _FLOATS.get(dtype) or np.dtype(dtype)
    if not isinstance(buffer, _Span) or buffer.size != prod(shape) * kind.itemsize:
        raise ValueError(f"an array of shape {shape} and dtype {dtype} has other than {prod(shape)} numbers")
    return Stored(kind, tuple(shape), buffer.start)


def _chunked(leaf: dict[str, Any], reader: "_Reader") -> Stored:
    """Returns an array that was too large for one value."""
    shape = tuple(leaf["shape"][str(axis)] for axis in range(len(leaf["shape"])))
    parts = [_array(leaf["chunks"][str(place)], reader) for place in range(len(leaf["chunks"]))]
    dtype = parts[0].dtype
    pieces = tuple((part.start, part.nbytes) for part in parts)
    if any(part.dtype != dtype for part in parts) or sum(size for _, size in pieces) != prod(shape) * dtype.itemsize:
        raise ValueError(f"the parts of an array do not make up its shape {shape}")
    return Stored(dtype, shape, 0, None, pieces)


class _Reader:
    """Goes through MessagePack values; arrays and bytes are passed over, and noted by place."""

    def __init__(self, data: mmap.mmap, end: int, at: int = 0):
        self.data, self.end, self.at = data, end, at

    def _take(self, size: int) -> int:
        start, self.at = self.at, self.at + size
        if self.at > self.end:
            raise ValueError(f"truncated at byte {self.end:,}")
        return start

    def _number(self, size: int) -> int:
        start = self._take(size)
        return int.from_bytes(self.data[start : start + size], "big")

    def _span(self, size: int, kind: int | None = None) -> _Span:
        return _Span(self._take(size), size, kind)

    def _text(self, size: int) -> str:
        start = self._take(size)
        return self.data[start : start + size].decode("utf-8")

    def value(self, depth: int = 0) -> Any:
        """Returns the next value."""
        if depth > _DEPTH:
            raise ValueError(f"nested more than {_DEPTH} deep")
        code = self._number(1)
        if code <= 0x7F:
            return code
        if code <= 0x8F or code in (0xDE, 0xDF):
            return self._map(code & 15 if code <= 0x8F else self._number(2 << (code & 1)), depth)
        if code <= 0x9F or code in (0xDC, 0xDD):
            count = code & 15 if code <= 0x9F else self._number(2 << (code & 1))
            if count > self.end - self.at:  # before a list of that length is begun
                raise ValueError("truncated")
            return [self.value(depth + 1) for _ in range(count)]
        if code <= 0xBF:
            return self._text(code & 31)
        if 0xD9 <= code <= 0xDB:
            return self._text(self._number(1 << code - 0xD9))
        if 0xC4 <= code <= 0xC6:
            return self._span(self._number(1 << code - 0xC4))
        if 0xC7 <= code <= 0xC9:
            size = self._number(1 << code - 0xC7)
            return self._span(size, kind=self._number(1))
        if code in _FIXED_EXTENSION:
            kind = self._number(1)
            return self._span(_FIXED_EXTENSION[code], kind=kind)
        if 0xCC <= code <= 0xCF:
            return self._number(_SKIPPED[code])
        if code in _SKIPPED:
            self._take(_SKIPPED[code])
            return None
        if code >= 0xE0:
            return code - 256
        raise ValueError(f"byte {self.at - 1:,} does not begin a value")

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, str) or key in found:
                raise ValueError(f"the key {str(key)[:80]!r} is there twice, or is not text")
            found[key] = self.value(depth + 1)
        return found
