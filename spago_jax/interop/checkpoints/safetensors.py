# SPDX-License-Identifier: BSD-2-Clause
"""Reads the table of a safetensors file: a JSON header that says where each tensor lies, then the numbers.

The header is checked whole before a tensor is read. The package ``safetensors`` copies each tensor on its way to NumPy;
a view into the mapped file does not.
"""

import json
import mmap
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.tensor_file import RANK, Stored

HEADER = 100_000_000  # bytes; the limit of the reference implementation
_DTYPES = {
    **{f"{kind}{8 * size}": np.dtype(f"<{kind.lower()}{size}") for kind in "IU" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    "BOOL": np.dtype(bool),
    "C64": np.dtype("<c8"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
}


def safetensors_table(data: mmap.mmap, path: Path) -> dict[str, Stored]:
    """Returns where each tensor lies, the aliases that ``__metadata__`` names among them.

    Raises:
        InputError: for a header that is damaged, or that does not agree with the file.
    """
    size = len(data)
    length = int.from_bytes(data[:8], "little")
    if size < 8 or length > size - 8:
        raise InputError(
            f"truncated, or not a safetensors file: its header should have {length:,} bytes, and the file has {size:,} "
            "in all",
            path=path,
        )
    if length > HEADER:
        raise InputError(f"a header of {length:,} bytes; at most {HEADER:,} are read", path=path)
    header = _header(data[8 : 8 + length], path)
    metadata = header.pop("__metadata__", {})
    first, table = 8 + length, {}
    for name, facts in header.items():
        table[name] = _stored(name, facts, first, size, path)
    _check_layout(table, first, size, path)
    if isinstance(metadata, dict):
        for alias, name in metadata.items():
            if isinstance(name, str) and name in header and alias not in table:
                table[alias] = table[name]
    return table


def _header(text: bytes, path: Path) -> dict[str, Any]:
    def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise InputError(f"the header has {key!r} twice", path=path)
            found[key] = value
        return found

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"the header is damaged: {error}", path=path) from None
    if not isinstance(header, dict):
        raise InputError("the header is damaged: not a JSON object", path=path)
    return header


def _stored(name: str, facts: object, first: int, size: int, path: Path) -> Stored:
    where = f"tensor {name!r}: "
    if not isinstance(facts, dict) or not {"dtype", "shape", "data_offsets"} <= set(facts):
        raise InputError(f"{where}the header lacks its dtype, shape or data_offsets", path=path)
    code, shape, offsets = facts["dtype"], facts["shape"], facts["data_offsets"]
    if not isinstance(code, str) or code not in _DTYPES:
        raise InputError(f"{where}dtype {code!r} is not read; known: {', '.join(_DTYPES)}", path=path)
    if not _naturals(shape) or len(shape) > RANK:
        raise InputError(f"{where}shape {str(shape)[:80]} is not a list of at most {RANK} sizes", path=path)
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise InputError(f"{where}data_offsets {str(offsets)[:80]} are not a start and an end", path=path)
    start, end = offsets
    if first + end > size:
        raise InputError(
            f"{where}ends at byte {first + end:,} of {size:,}: the file is truncated; copy or download it again",
            path=path,
        )
    expected = prod(shape) * _DTYPES[code].itemsize
    if end - start != expected:
        raise InputError(f"{where}{end - start:,} bytes, but {code} {shape} needs {expected:,}", path=path)
    return Stored(_DTYPES[code], tuple(shape), first + start)


def _check_layout(table: dict[str, Stored], first: int, size: int, path: Path) -> None:
    """The tensors lie one after the other and fill the file, as the format demands: none hides in another."""
    at, before = first, None
    for name, stored in sorted(table.items(), key=lambda item: (item[1].start, item[1].nbytes)):
        if stored.start < at:
            raise InputError(f"tensors {before!r} and {name!r} overlap", path=path)
        if stored.start > at:
            raise InputError(f"{stored.start - at:,} bytes before tensor {name!r} belong to no tensor", path=path)
        at, before = stored.start + stored.nbytes, name
    if at != size:
        raise InputError(f"{size - at:,} bytes after the last tensor belong to no tensor", path=path)


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(each) is int and 0 <= each < 2**63 for each in value)
