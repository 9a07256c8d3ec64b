# SPDX-License-Identifier: BSD-2-Clause
"""Reads the tables of PyTorch's two containers: a zip archive since 1.6, and consecutive pickles before."""

import mmap
import zipfile
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_pickle import LIMIT, Storage, Tensor, read_pickle
from spago_jax.interop.checkpoints.tensor_file import RANK, Stored

MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_LOCAL = b"PK\x03\x04"  # begins a member of an archive


Place = Callable[[Storage], tuple[int, int]]
"""From a storage to the first byte of its numbers in the file, and how many bytes they take."""


def zip_table(data: mmap.mmap, path: Path) -> dict[str, Stored]:
    """Returns where each tensor of a zip archive lies.

    Raises:
        InputError: for an archive that is damaged, compressed, or holds anything but tensors.
    """
    start, size, place = zip_layout(data, path)
    if size > LIMIT:
        raise InputError(f"a pickle of {size:,} bytes; at most {LIMIT:,} are read", path=path)
    value, _ = read_pickle(data[start : start + size], path)
    return _table(value, place, path)


def zip_layout(data: mmap.mmap, path: Path) -> tuple[int, int, Place]:
    """Returns where the pickle of a zip archive begins, how many bytes it has, and where storages lie.

    Raises:
        InputError: for an archive that is damaged or compressed, or is not one of PyTorch's.
    """
    members = _members(data, path)
    found = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(found) != 1:
        raise InputError(
            f"a zip archive, but not one of PyTorch's: {len(found)} members are called data.pkl", path=path
        )
    folder = found[0].removesuffix("data.pkl")
    order = members.get(f"{folder}byteorder")
    if order and data[order[0] : order[0] + order[1]] == b"big":
        raise InputError("written by a big-endian machine; convert it to safetensors there", path=path)

    def place(storage: Storage) -> tuple[int, int]:
        member = f"{folder}data/{storage.key}"
        if member not in members:
            raise InputError(f"the archive lacks {member!r}; copy or download it again", path=path)
        return members[member]

    return *members[found[0]], place


def _members(data: mmap.mmap, path: Path) -> dict[str, tuple[int, int]]:
    """Returns start and bytes of every member of an archive."""
    members: dict[str, tuple[int, int]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ArithmeticError, LookupError, NotImplementedError, OSError, ValueError) as error:
        raise InputError(
            f"truncated, or a damaged zip archive: {error}; copy or download it again", path=path
        ) from None
    for entry in entries:
        name, at = entry.filename, entry.header_offset
        if name in members:
            raise InputError(f"the archive has {name!r} twice", path=path)
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size or entry.flag_bits & 1:
            raise InputError(f"member {name!r} is compressed or encrypted, which PyTorch's files never are", path=path)
        local = data[at : at + 30] if at >= 0 else b""
        if len(local) < 30 or not local.startswith(_LOCAL):
            raise InputError(f"member {name!r} is not where the archive says it is", path=path)
        start = at + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        if start + entry.file_size > len(data):
            raise InputError(f"member {name!r} ends beyond the file; copy or download it again", path=path)
        members[name] = start, entry.file_size
    return members


def legacy_table(data: mmap.mmap, path: Path) -> dict[str, Stored]:
    """Returns where each tensor of a file of PyTorch before 1.6 lies.

    Raises:
        InputError: for a file that is damaged, or holds anything but tensors.
    """
    at, values = 0, []
    for _ in range(5):
        value, size = read_pickle(data[at : at + LIMIT], path)
        values.append(value)
        at += size
        if values[0] != MAGIC:
            raise InputError("a pickle, but not a file of PyTorch (its magic number is missing)", path=path)
    place = legacy_layout(
        data, path, at, values, lambda value: {t.storage.key: t.storage for _, t in _tensors(value, path)}
    )
    return _table(values[3], place, path)


def legacy_layout(
    data: mmap.mmap, path: Path, at: int, values: Sequence[Any], storages: Callable[[Any], Mapping[str, Storage]]
) -> Place:
    """Returns where the storages of a file of PyTorch before 1.6 lie.

    Args:
        data: the file.
        path: its name, for messages.
        at: the byte after its five pickles.
        values: the values of the pickles.
        storages: from what the file holds to the storages that belong to it, by key.

    Raises:
        InputError: for a file that is damaged.
    """
    _, protocol, system, value, keys = values
    if protocol != _PROTOCOL or not isinstance(system, dict) or not isinstance(keys, list):
        raise InputError("a PyTorch file of an unknown or damaged form", path=path)
    if system.get("little_endian") is not True:
        raise InputError("written by a big-endian machine; convert it to safetensors there", path=path)
    widths = {key: storage.dtype.itemsize for key, storage in storages(value).items()}
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        if not isinstance(key, str | int) or str(key) in places or str(key) not in widths:
            raise InputError(f"storage {str(key)[:80]!r} is listed twice, or belongs to no tensor", path=path)
        size = int.from_bytes(data[at : at + 8], "little") * widths[str(key)]
        if at + 8 + size > len(data):
            raise InputError(
                f"storage {key!r} ends at byte {at + 8 + size:,} of {len(data):,}: the file is truncated; copy or "
                "download it again",
                path=path,
            )
        places[str(key)] = at + 8, size
        at += 8 + size

    def place(storage: Storage) -> tuple[int, int]:
        if storage.key not in places:
            raise InputError(f"storage {storage.key!r} is not in the file", path=path)
        return places[storage.key]

    return place


def _tensors(value: object, path: Path) -> list[tuple[str, Tensor]]:
    """Returns the tensors of what a file holds: a state dict, or a checkpoint that has one under ``state_dict``."""
    if isinstance(value, dict) and isinstance(value.get("state_dict"), dict):
        value = value["state_dict"]
    if not isinstance(value, dict):
        raise InputError(f"holds a {type(value).__name__}, not the named tensors of a model", path=path)
    found = [(name, each) for name, each in value.items() if isinstance(name, str) and isinstance(each, Tensor)]
    if not found:
        raise InputError("holds no tensors under names", path=path)
    return found


def _table(value: object, place: Place, path: Path) -> dict[str, Stored]:
    return {name: stored(name, tensor, place(tensor.storage), path) for name, tensor in _tensors(value, path)}


def stored(name: str, tensor: Tensor, place: tuple[int, int], path: Path) -> Stored:
    """Checks that a tensor lies within its storage, and has no more numbers than that: a small file cannot claim a
    tensor that fills the memory."""
    storage, size, strides = tensor.storage, tensor.size, tensor.strides
    width, offset = storage.dtype.itemsize, tensor.offset + tensor.storage.shift
    start, held = place
    last = offset + sum((n - 1) * stride for n, stride in zip(size, strides, strict=True)) + 1 if all(size) else 0
    if storage.count * width > held or last > held // width or prod(size) > held // width or len(size) > RANK:
        raise InputError(
            f"tensor {name!r} of shape {size} (offset {offset}, strides {strides}) does not fit its storage of "
            f"{held // width:,} numbers: the file is damaged",
            path=path,
        )
    if not all(size):
        return Stored(storage.dtype, size, start)
    steps = tuple(stride * width for stride in strides)
    plain = tuple(prod(size[axis + 1 :]) * width for axis in range(len(size)))
    rows = all(n == 1 or step == own for n, step, own in zip(size, steps, plain, strict=True))
    return Stored(storage.dtype, size, start + offset * width, None if rows else steps)
