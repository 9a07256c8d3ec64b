# SPDX-License-Identifier: BSD-2-Clause
"""A text as one memory-mapped array of character ids over a dense alphabet."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spago_jax.data.files import find_file, load_array, new_folder
from spago_jax.data.formats.plain_text import read_text
from spago_jax.errors import InputError

__all__ = ["EncodedText", "encode_text"]

_CHUNK = 1 << 21  # characters decoded at a time


class EncodedText:
    """A text as character ids.

    Attributes:
        ids: the id of each character, uint8, uint16 or uint32 [n], mapped from disk.
        alphabet: the character of each id, in order of code points unless another alphabet was given.
        counts: how often each character occurs, int64 [len(alphabet)].
    """

    def __init__(self, ids: np.ndarray, alphabet: list[str], counts: np.ndarray):
        self.ids, self.alphabet, self.counts = ids, alphabet, counts

    @classmethod
    def open(cls, folder: str | Path) -> "EncodedText":
        """Opens what ``encode_text`` wrote.

        Raises:
            InputError: the folder does not hold an encoded text, or is incomplete.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            alphabet, counts, total = about["alphabet"], np.array(about["counts"], np.int64), about["characters"]
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError("no encoded text: missing or incomplete", path=folder) from None
        ids = load_array(folder / "ids.npy", mapped=True)
        if len(ids) != total:
            raise InputError(f"{len(ids)} ids, expected {total}", path=folder / "ids.npy")
        return cls(ids, alphabet, counts)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"EncodedText({len(self)} characters, {len(self.alphabet)} distinct, {self.ids.dtype})"

    def decode(self, start: int = 0, stop: int | None = None) -> str:
        """Returns the characters from ``start`` up to ``stop``."""
        return "".join([self.alphabet[number] for number in self.ids[start:stop].tolist()])


def _code_points(piece: str) -> np.ndarray:
    if piece.isascii():
        return np.frombuffer(piece.encode("ascii"), np.uint8)
    return np.frombuffer(piece.encode("utf-32-le"), "<u4")


def encode_text(
    path: str | Path, folder: str | Path, alphabet: Sequence[str] | None = None, *, unknown: int | None = None
) -> EncodedText:
    """Encodes a text file into character ids, in constant memory; the folder appears complete or not at all.

    Two passes: the first counts code points, which gives the alphabet and the narrowest type; the second writes.

    Args:
        path: a UTF-8 text; ``.gz`` is decompressed.
        folder: where to write; it must not exist, or must be empty.
        alphabet: the characters by id, as of a trained model (entries of several characters, such as ``<unk>``, match
            nothing); None: the characters of this text in order of code points.
        unknown: the id of characters that are not in ``alphabet``; None: they are an error.

    Raises:
        InputError: the file is missing, empty or not UTF-8; a character is not in the alphabet; the alphabet names a
            character twice or has no id ``unknown``.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = file.write_text("banana")
    >>> text = encode_text(file, file.parent / "encoded")
    >>> text.ids.tolist(), text.alphabet, text.counts.tolist()
    ([1, 0, 2, 0, 2, 0], ['a', 'b', 'n'], [3, 1, 2])
    """
    path = find_file(path)
    points = np.zeros(sys.maxunicode + 1, np.int64)
    for piece in read_text(path, chunk=_CHUNK):
        counted = np.bincount(_code_points(piece))
        points[: len(counted)] += counted
    present = np.flatnonzero(points)
    if not present.size:
        raise InputError("empty: there are no characters in it", path=path)
    names = [chr(point) for point in present.tolist()] if alphabet is None else list(alphabet)
    table = _table(names, unknown)
    strange = present[table[present] < 0]
    if strange.size:
        shown = ", ".join(f"{chr(point)!r} (U+{point:04X})" for point in strange[:5].tolist())
        raise InputError(
            f"{strange.size} character{'s' * (strange.size > 1)} not in the alphabet of {len(names)}: {shown}"
            f"{', ...' * (strange.size > 5)}",
            path=path,
            line=_line_of(path, chr(int(strange[0]))),
        )
    counts = np.bincount(table[present], weights=points[present], minlength=len(names)).astype(np.int64)
    total = int(points.sum())
    dtype = np.min_scalar_type(len(names) - 1)
    narrow = table.astype(dtype)
    with new_folder(folder) as part:
        with (part / "ids.npy").open("wb", buffering=1 << 20) as file:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (total,)}
            np.lib.format.write_array_header_1_0(file, header)
            written = 0
            for piece in read_text(path, chunk=_CHUNK):
                ids = narrow[_code_points(piece)]
                ids.tofile(file)
                written += len(ids)
        if written != total:
            raise InputError(f"changed while it was read: {written} characters, then {total}", path=path)
        about = {"characters": total, "alphabet": names, "counts": counts.tolist()}
        (part / "about.json").write_text(json.dumps(about), encoding="utf-8")
    return EncodedText.open(folder)


def _table(names: list[str], unknown: int | None) -> np.ndarray:
    """Returns a table from code points to ids; characters without an id have ``unknown`` or -1."""
    if unknown is not None and not 0 <= unknown < len(names):
        raise InputError(f"unknown={unknown} is not an id of the alphabet, which has {len(names)}")
    table = np.full(sys.maxunicode + 1, -1 if unknown is None else unknown, np.int64)
    seen: set[str] = set()
    for number, name in enumerate(names):
        if name in seen:
            raise InputError(f"the alphabet contains {name!r} twice")
        seen.add(name)
        if len(name) == 1:
            table[ord(name)] = number
    return table


def _line_of(path: Path, character: str) -> int | None:
    line = 1
    for piece in read_text(path, chunk=_CHUNK):
        at = piece.find(character)
        if at >= 0:
            return line + piece.count("\n", 0, at)
        line += piece.count("\n")
    return None
