# SPDX-License-Identifier: BSD-2-Clause
"""Writes the safetensors format: a JSON header and the numbers, little-endian, one array after the other."""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.core.dtypes import LONG
from spago_jax.errors import InputError

_CODES = {long: short.upper() for short, long in LONG.items()}
_CODES |= {"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}
# As the package safetensors orders them, the last first: wide numbers, so that every array lies at a multiple of its
# own size.
_RANK = (
    "BOOL",
    "U8",
    "I8",
    "F8_E5M2",
    "F8_E4M3",
    "I16",
    "U16",
    "F16",
    "BF16",
    "I32",
    "U32",
    "F32",
    "F64",
    "I64",
    "U64",
)


def write_safetensors(path: Path, arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Writes ``{name: array}``; 16-bit and 8-bit floats of JAX too. Read it with ``load.read_safetensors``.

    The arrays are fetched from their device and written one at a time, and laid out as the package ``safetensors`` does
    it, so that files of the same arrays are the same.

    Args:
        path: of the new file.
        arrays: by name.
        metadata: text by key, such as ``{"format": "pt"}``, which older releases of transformers ask for.

    Raises:
        InputError: for a dtype that the format does not have, naming the array.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "w.safetensors"
    >>> write_safetensors(path, {"bias": np.float32([1.0, 2.0])})
    >>> path.read_bytes()[8:].decode("latin-1")[:57]
    '{"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    dtypes = {name: np.dtype(array.dtype) for name, array in arrays.items()}
    for name, dtype in dtypes.items():
        if _CODES.get(dtype.name) not in _RANK:
            raise InputError(f"array {name!r} has dtype {dtype.name}, which safetensors does not have")
    order, at = sorted(dtypes, key=lambda name: (-_RANK.index(_CODES[dtypes[name].name]), name)), 0
    for name in order:
        dtype, shape = dtypes[name], arrays[name].shape
        end = at + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _CODES[dtype.name], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in order:
            value = np.ascontiguousarray(arrays[name])
            if sys.byteorder == "big":
                value = value.byteswap()
            file.write(value.reshape(-1).view(np.uint8).data)
