# SPDX-License-Identifier: BSD-2-Clause
"""Writes the safetensors format: a JSON header and the numbers, little-endian, one array after the other."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.core.dtypes import LONG
from spago_jax.errors import InputError

_CODES = {long: short.upper() for short, long in LONG.items()}
_CODES |= {"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}


def write_safetensors(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes ``{name: array}``; 16-bit and 8-bit floats of JAX too. Read it with ``load.read_safetensors``.

    Raises:
        InputError: for a dtype that the format does not have, naming the array.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "w.safetensors"
    >>> write_safetensors(path, {"bias": np.float32([1.0, 2.0])})
    >>> path.read_bytes()[8:].decode("latin-1")[:57]
    '{"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    """
    header: dict[str, Any] = {}
    values, at = [], 0
    host = {name: np.asarray(array) for name, array in arrays.items()}
    # Wide numbers first, so that every array lies at a multiple of its own size.
    for name, array in sorted(host.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        value = np.ascontiguousarray(array)
        if value.dtype.name not in _CODES:
            raise InputError(f"array {name!r} has dtype {value.dtype.name}, which safetensors does not have")
        if sys.byteorder == "big":
            value = value.byteswap()
        end = at + value.nbytes
        code = _CODES[value.dtype.name]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [at, end]}
        values.append(value)
        at = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for value in values:
            file.write(value.tobytes())
