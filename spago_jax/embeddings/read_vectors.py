# SPDX-License-Identifier: BSD-2-Clause
"""Reading word vectors: GloVe text, word2vec text and word2vec binary; only the wanted words are kept."""

from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from spago_jax.data.files import find_file, open_binary
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.errors import InputError, did_you_mean

__all__ = ["read_word_vectors"]

_FORMATS = ("glove", "word2vec", "word2vec-binary")
_LONGEST_WORD = 1 << 16
_DIGITS = 12  # of a number in a header
_MOST_DIMENSIONS = 1 << 20  # in a binary file, whose header alone says where a word ends
_BLOCK = 1 << 22  # bytes of a binary file read at a time


def read_word_vectors(
    path: str | Path,
    vocabulary: Collection[str] | None = None,
    *,
    dtype: DTypeLike = np.float32,
    lowercase: bool = False,
    format: str | None = None,
) -> WordVectors:
    """Reads word vectors in a stream, keeping the wanted words only.

    In text files a word may hold blanks (as some of GloVe's 840B): the last d fields are the vector. A word that comes
    again is passed over and counted.

    Args:
        path: the file; ``.gz`` is decompressed.
        vocabulary: the words to keep, or None for all.
        dtype: the type of the matrix.
        lowercase: give a word of ``vocabulary`` that the file does not have the vector of its lower-cased form.
        format: ``glove`` (text without a header), ``word2vec`` (text with a header of two numbers, words and
            dimensions) or ``word2vec-binary``; None: the file shows it.

    Returns:
        The words, in the order of the file, then those that got the vector of their lower-cased form.

    Raises:
        InputError: the file is missing, empty, cut off or not UTF-8; a vector has another length than the first, a
            value that is not a number, or NaN or infinity; the format is unknown. In text files every line's length is
            looked at, but only the values of the words kept.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = file.write_text("the 0.5 1\\nparis 2 -1\\n")
    >>> read_word_vectors(file, ["Paris", "the"], lowercase=True).words
    ['the', 'Paris']
    """
    path = find_file(path)
    if format is not None and format not in _FORMATS:
        raise InputError(f"format {format!r} of word vectors is unknown: {did_you_mean(format, _FORMATS)}")
    keep = _Keep(path, vocabulary, np.dtype(dtype), lowercase)
    with open_binary(path) as file:
        first = file.readline(1 << 20)
        if not first.strip():
            raise InputError("empty, or an empty first line; expected word vectors", path=path, line=1)
        header = _header(first)
        if format is None:
            # the first bytes after the header tell: text has no zero bytes, and few bytes that are not printable
            format = "glove" if header is None else "word2vec"
            if header is not None and (path.name.removesuffix(".gz").endswith(".bin") or b"\0" in _peek(path, first)):
                format = "word2vec-binary"
        if format != "glove" and header is None:
            shown = repr(first[:60].decode("utf-8", "replace").rstrip())
            raise InputError(f"{shown}, expected the two numbers of a header, words and dimensions", path=path, line=1)
        if format == "word2vec-binary" and header is not None:
            if header[1] > _MOST_DIMENSIONS:
                raise InputError(f"the header says {header[1]:,} dimensions: is it damaged?", path=path, line=1)
            _read_binary(path, file, *header, keep)
        else:
            _read_text(path, file, first, header if format == "word2vec" else None, keep)
    return keep.result()


def _header(line: bytes) -> tuple[int, int] | None:
    fields = line.split()
    numbers = len(fields) == 2 and all(field.isdigit() and len(field) <= _DIGITS for field in fields)
    if numbers and int(fields[1]) > 0:
        return int(fields[0]), int(fields[1])
    return None


def _peek(path: Path, first: bytes) -> bytes:
    with open_binary(path) as file:
        return file.read(len(first) + 4096)


class _Keep:
    """The rows kept so far, in a matrix that grows."""

    def __init__(self, path: Path, vocabulary: Collection[str] | None, dtype: np.dtype, lowercase: bool):
        self.path, self.dtype = path, dtype
        self.vocabulary = None if vocabulary is None else dict.fromkeys(vocabulary)
        self.lowercase = lowercase
        self.wanted: set[bytes] | None = None
        if self.vocabulary is not None:
            forms = {*self.vocabulary, *(word.lower() for word in self.vocabulary)} if lowercase else self.vocabulary
            self.wanted = {form.encode("utf-8", "surrogatepass") for form in forms}
            # of a word with blanks the first part: enough to pass over a line quickly
            self.firsts = {form.split(b" ", 1)[0] for form in self.wanted}
        self.rows: dict[bytes, int] = {}
        self.words: list[str] = []
        self.matrix = np.empty((0, 0), dtype)
        self.duplicates = 0

    def begin(self, size: int) -> None:
        """Says how long the vectors are."""
        self.matrix = np.empty((0, size), self.dtype)

    def new(self, word: bytes) -> bool:
        """Whether this word is to be kept; counts it where it is kept already."""
        if self.wanted is not None and word not in self.wanted:
            return False
        if word in self.rows:
            self.duplicates += 1
            return False
        return True

    def add(self, word: bytes, values: np.ndarray, line: int | None, place: str) -> None:
        """Keeps a row. ``place`` is put before an error's message, where there is no line to name."""
        if not word:
            raise InputError(f"{place}the word is empty", path=self.path, line=line)
        try:
            text = word.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{place}the word {word[:40]!r} is not UTF-8", path=self.path, line=line) from None
        with np.errstate(over="ignore"):
            values = values.astype(self.dtype, copy=False)
        if not np.isfinite(values).all():
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(
                f"{place}value {at + 1} of {text!r} is {values[at]}, expected finite numbers", path=self.path, line=line
            )
        row = len(self.words)
        if row >= len(self.matrix):
            grown = np.empty((max(256, 2 * row), len(values)), self.dtype)
            grown[:row] = self.matrix[:row]
            self.matrix = grown
        self.matrix[row] = values
        self.rows[word] = row
        self.words.append(text)

    def result(self) -> WordVectors:
        """What was kept."""
        matrix = self.matrix[: len(self.words)]
        if self.vocabulary is None or not self.lowercase:
            return WordVectors(self.words, matrix.copy(), self.duplicates)
        rows = dict(zip(self.words, range(len(self.words)), strict=True))
        exact = [word for word in self.words if word in self.vocabulary]
        lowered = [word for word in self.vocabulary if word not in rows and word.lower() in rows]
        picked = [rows[word] for word in exact] + [rows[word.lower()] for word in lowered]
        return WordVectors(exact + lowered, matrix[picked], self.duplicates, len(lowered))


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


def _read_text(path: Path, file: BinaryIO, first: bytes, header: tuple[int, int] | None, keep: _Keep) -> None:
    first = first.removeprefix(b"\xef\xbb\xbf")
    rest = b"" if first.endswith(b"\n") else file.readline()  # the first line was read up to a limit
    line, number = (first + rest, 1) if header is None else (file.readline(), 2)
    if header is not None and not line.strip():
        raise InputError(f"no vectors below the header, which says {header[0]}", path=path)
    separator = b"\t" if b"\t" in line.rstrip() else b" "
    size = header[1] if header is not None else _dimensions(path, line.rstrip().split(separator), number)
    keep.begin(size)
    read = 0
    while line:
        line = line.rstrip(b" \t\r\n")
        if line:
            read += 1
            if line.count(separator) < size:
                found = line.count(separator)
                word = line.split(separator, 1)[0][:40].decode("utf-8", "replace")
                raise InputError(f"expected {size} values, found {found} (word {word!r})", path=path, line=number)
            if keep.wanted is None or line[: line.index(separator)].split(b" ", 1)[0] in keep.firsts:
                fields = line.rsplit(separator, size)
                _one_too_many(path, number, fields[0], size, separator)
                if keep.new(fields[0]):
                    keep.add(fields[0], _values(path, number, fields), number, "")
            elif line.count(separator) > size:
                _one_too_many(path, number, line.rsplit(separator, size)[0], size, separator)
        line = file.readline()
        number += 1
    if header is not None and read != header[0]:
        state = "fewer than: the file is cut off" if read < header[0] else "more than it says"
        raise InputError(f"{read} vectors, the header says {header[0]} ({state})", path=path)


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


def _read_binary(path: Path, file: BinaryIO, count: int, size: int, keep: _Keep) -> None:
    """Words end in a blank, then come ``size`` little-endian float32; some writers put a line feed after them."""
    width = 4 * size
    block = max(_BLOCK, 4 * width)
    held, at = b"", 0
    keep.begin(size)
    for number in range(1, count + 1):
        end = held.find(b" ", at)
        if end < 0 or end + 1 + width > len(held):
            held, at = held[at:] + file.read(block), 0
            end = held.find(b" ")
        if end - at > _LONGEST_WORD or (end < 0 and len(held) - at > _LONGEST_WORD):
            message = f"vector {number} of {count} has no word: not the {size} dimensions that the header says?"
            raise InputError(message, path=path)
        if end < 0 or end + 1 + width > len(held):
            raise InputError(f"cut off within vector {number} of {count}", path=path)
        word = held[at:end].lstrip(b"\n")
        at = end + 1 + width
        if keep.new(word):
            values = np.frombuffer(held, "<f4", size, end + 1)
            keep.add(word, values, None, f"vector {number}: ")
    if held[at:].strip(b"\n") or file.read(1).strip(b"\n"):
        raise InputError(f"bytes beyond the {count} vectors that the header says", path=path)
