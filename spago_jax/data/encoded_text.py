# SPDX-License-Identifier: BSD-2-Clause
"""A text as one memory-mapped array of the ids of its characters over a dense alphabet, or of its bytes."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.data.files import find_file, load_array, new_folder
from spago_jax.data.formats.plain_text import read_text
from spago_jax.errors import InputError
from spago_jax.text.alphabet import Alphabet, ByteAlphabet, alphabet_from

__all__ = ["EncodedText", "encode_text"]

_CHUNK = 1 << 21  # characters decoded at a time


class EncodedText:
    """A text as the ids of its characters, or of its bytes.

    Attributes:
        ids: the id of each character, uint8, uint16 or uint32 [n], mapped from disk.
        alphabet: the characters by id, in order of code points unless another alphabet was given; or the bytes.
        counts: how often each id occurs, int64 [len(alphabet)].
        strange: how often each character outside the alphabet occurs.
    """

    def __init__(self, ids: np.ndarray, alphabet: Alphabet, counts: np.ndarray, strange: Mapping[str, int]):
        self.ids, self.alphabet, self.counts, self.strange = ids, alphabet, counts, strange

    @classmethod
    def open(cls, folder: str | Path) -> "EncodedText":
        """Opens what ``encode_text`` wrote.

        Raises:
            InputError: the folder does not hold an encoded text, or is incomplete.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            alphabet, counts = alphabet_from(about["alphabet"]), np.array(about["counts"], np.int64)
            total, strange = about["ids"], about["strange"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError("no encoded text: missing or incomplete", path=folder) from None
        ids = load_array(folder / "ids.npy", mapped=True)
        if len(ids) != total:
            raise InputError(f"{len(ids)} ids, expected {total}", path=folder / "ids.npy")
        return cls(ids, alphabet, counts, strange)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        unit = "bytes" if isinstance(self.alphabet, ByteAlphabet) else "characters"
        return f"EncodedText({len(self)} {unit}, {len(self.alphabet)} distinct, {self.ids.dtype})"

    def decode(self, start: int = 0, stop: int | None = None) -> str:
        """Returns the text of the ids from ``start`` up to ``stop``."""
        return self.alphabet.decode(self.ids[start:stop].tolist())


def _bytes(piece: str) -> np.ndarray:
    return np.frombuffer(piece.encode("utf-8"), np.uint8)


def _code_points(piece: str) -> np.ndarray:
    if piece.isascii():
        return np.frombuffer(piece.encode("ascii"), np.uint8)
    return np.frombuffer(piece.encode("utf-32-le"), "<u4")


def encode_text(path: str | Path | Sequence[Path], folder: str | Path, alphabet: Alphabet | None = None) -> EncodedText:
    """Encodes a text file into the ids of an alphabet, in constant memory; the folder appears complete or not at all.

    Two passes: the first counts code points, which gives the alphabet and the narrowest type; the second writes.

    Args:
        path: a UTF-8 text, or several that are read as one; ``.gz`` is decompressed.
        folder: where to write; it must not exist, or must be empty.
        alphabet: of a trained model, for example; None: the characters of this text in order of code points.

    Raises:
        InputError: the file is missing, empty or not UTF-8; a character is not in an alphabet that has no ``<unk>``;
            the alphabet names a character twice.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = file.write_text("banana")
    >>> text = encode_text(file, file.parent / "encoded")
    >>> text.ids.tolist(), list(text.alphabet), text.counts.tolist()
    ([1, 0, 2, 0, 2, 0], ['a', 'b', 'n'], [3, 1, 2])
    """
    paths = [find_file(each) for each in ([path] if isinstance(path, str | Path) else path)]
    path = paths[0]
    units = _bytes if isinstance(alphabet, ByteAlphabet) else _code_points
    points = np.zeros(256 if units is _bytes else sys.maxunicode + 1, np.int64)
    for piece in _pieces(paths):
        counted = np.bincount(units(piece))
        points[: len(counted)] += counted
    present = np.flatnonzero(points)
    if not present.size:
        raise InputError("empty: there are no characters in it", path=path)
    if alphabet is None:
        alphabet = Alphabet([chr(point) for point in present.tolist()])
    table = _table(alphabet, len(points))
    strange = present[table[present] < 0]
    if strange.size and alphabet.unknown is None:
        shown = ", ".join(f"{chr(point)!r} (U+{point:04X})" for point in strange[:5].tolist())
        raise InputError(
            f"{strange.size} character{'s' * (strange.size > 1)} not in the alphabet of {len(alphabet)}: {shown}"
            f"{', ...' * (strange.size > 5)}",
            **_place_of(paths, chr(int(strange[0]))),
        )
    table[table < 0] = alphabet.unknown or 0
    counts = np.bincount(table[present], weights=points[present], minlength=len(alphabet)).astype(np.int64)
    total = int(points.sum())
    dtype = np.min_scalar_type(len(alphabet) - 1)
    narrow = table.astype(dtype)
    with new_folder(folder) as part:
        with (part / "ids.npy").open("wb", buffering=1 << 20) as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (total,)}
            np.lib.format.write_array_header_1_0(file, header)
            written = 0
            for piece in _pieces(paths):
                ids = narrow[units(piece)]
                ids.tofile(file)
                written += len(ids)
        if written != total:
            raise InputError(f"changed while it was read: {written} characters, then {total}", path=path)
        about = {
            "ids": total,
            "alphabet": alphabet.saved(),
            "counts": counts.tolist(),
            "strange": {chr(point): int(points[point]) for point in strange.tolist()},
        }
        (part / "about.json").write_text(json.dumps(about), encoding="utf-8")
    return EncodedText.open(folder)


def _table(alphabet: Alphabet, size: int) -> np.ndarray:
    """Returns a table from code points (or bytes) to ids, -1 for those without one."""
    table = np.full(size, -1, np.int64)
    seen: set[str] = set()
    for number, name in enumerate(alphabet):
        if name in seen:
            raise InputError(f"the alphabet contains {name!r} twice")
        seen.add(name)
        if len(name) == 1:
            table[ord(name)] = number
    return table


def _pieces(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        yield from read_text(path, chunk=_CHUNK)


def _place_of(paths: Sequence[Path], character: str) -> dict[str, Any]:
    """Where a character stands first: the file and the line."""
    for path in paths:
        line = 1
        for piece in read_text(path, chunk=_CHUNK):
            at = piece.find(character)
            if at >= 0:
                return {"path": path, "line": line + piece.count("\n", 0, at)}
            line += piece.count("\n")
    return {"path": paths[0], "line": None}
