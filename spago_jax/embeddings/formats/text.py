# SPDX-License-Identifier: BSD-2-Clause
"""Reads word vectors as text: GloVe's, without a header, and those of word2vec and fastText, with one."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from spago_jax.embeddings.formats.rows import Sink
from spago_jax.errors import InputError

_DIGITS = 12  # of a number in a header
_MARK = b"\xef\xbb\xbf"
Header = tuple[int, int]


def header_of(line: bytes) -> Header | None:
    """Returns the two numbers of a header, words and dimensions, or None for a line of values.

    >>> header_of(b"2000000 300\\n"), header_of(b"the 0.5\\n")
    ((2000000, 300), None)
    """
    fields = line.removeprefix(_MARK).split()
    numbers = len(fields) == 2 and all(field.isdigit() and len(field) <= _DIGITS for field in fields)
    if numbers and int(fields[1]) > 0:
        return int(fields[0]), int(fields[1])
    return None


def read_text(path: Path, file: BinaryIO, first: bytes, header: Header | None, sink: Sink) -> None:
    """Reads a file whose first line is ``first``.

    A word may hold blanks: the last fields are its values.

    Raises:
        InputError: for lines of another length, values that are not finite numbers, or another count than the header's.
    """
    first = first.removeprefix(_MARK)
    rest = b"" if first.endswith(b"\n") else file.readline()  # the first line was read up to a limit
    line, number = (first + rest, 1) if header is None else (file.readline(), 2)
    if header is not None and not line.strip():
        raise InputError(f"no vectors below the header, which says {header[0]}", path=path)
    separator = b"\t" if b"\t" in line.rstrip() else b" "
    size = header[1] if header is not None else _dimensions(path, line.rstrip().split(separator), number)
    sink.begin(size)
    read = 0
    while line:
        line = line.rstrip(b" \t\r\n")
        if line:
            read += 1
            if line.count(separator) < size:
                found = line.count(separator)
                word = line.split(separator, 1)[0][:40].decode("utf-8", "replace")
                raise InputError(f"expected {size} values, found {found} (word {word!r})", path=path, line=number)
            if sink.wanted is None or line[: line.index(separator)].split(b" ", 1)[0] in sink.firsts:
                fields = line.rsplit(separator, size)
                _one_too_many(path, number, fields[0], size, separator)
                if sink.wants(fields[0]):
                    sink.add(fields[0], _values(path, number, fields), number)
            elif line.count(separator) > size:
                _one_too_many(path, number, line.rsplit(separator, size)[0], size, separator)
        line = file.readline()
        number += 1
    if header is not None and read != header[0]:
        state = "fewer than: the file is cut off" if read < header[0] else "more than it says"
        raise InputError(f"{read} vectors, the header says {header[0]} ({state})", path=path)


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _dimensions(path: Path, fields: list[bytes], line: int) -> int:
    """Of a first line without a header: all fields but the word, which may itself hold blanks."""
    count = len(fields) - 1
    while count and not all(_is_number(field) for field in fields[-count:]):
        count -= 1
    if not count:
        shown = b" ".join(fields)[:60].decode("utf-8", "replace")
        raise InputError(f"{shown!r}, expected a word and its values", path=path, line=line)
    return count


def _one_too_many(path: Path, line: int, word: bytes, size: int, separator: bytes) -> None:
    """What is left of the values is the word; if it ends in a number after a blank, there are too many values."""
    if separator in word:
        extra = 0
        parts = word.split(separator)
        while extra < len(parts) - 1 and _is_number(parts[-1 - extra]):
            extra += 1
        if extra:
            shown = parts[0][:40].decode("utf-8", "replace")
            raise InputError(f"expected {size} values, found {size + extra} (word {shown!r})", path=path, line=line)


def _values(path: Path, line: int, fields: list[bytes]) -> np.ndarray:
    try:
        return np.array(list(map(float, fields[1:])))
    except ValueError:
        at, bad = next((at, field) for at, field in enumerate(fields) if at and not _is_number(field))
        shown, word = bad[:40].decode("utf-8", "replace"), fields[0][:40].decode("utf-8", "replace")
        message = f"value {at} of {word!r} is {shown!r}, expected a number"
        raise InputError(message, path=path, line=line) from None
