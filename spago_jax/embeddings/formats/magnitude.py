# SPDX-License-Identifier: BSD-2-Clause
"""Reads Magnitude's files: databases of SQLite with one row per word, whose numbers are kept as whole ones."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from spago_jax.embeddings.formats.rows import Sink
from spago_jax.errors import InputError

MAGIC = b"SQLite format 3\0"
_MOST_DIGITS = 18


def read_magnitude(path: Path, sink: Sink) -> None:
    """A vector is ``dim_0 / 10^precision, dim_1 / 10^precision, ...``; Magnitude makes its length 1 before. Newer files
    have the length as well, in a column ``magnitude``, and their vectors are given it back.

    Nothing is written, and no view or function of the file is run. The n-grams that it has for unknown words are texts
    without vectors, and are not read.

    Raises:
        InputError: for another database, a damaged one, or one of vectors that depend on the sentence (ELMo).
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError("not a file of Magnitude: a plain database of SQLite, not compressed", path=path)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.text_factory = bytes
            size, scale, long = _about(database, path)
            sink.begin(size)
            for number, (word, *values) in enumerate(_rows(database, size, long), 1):
                length = values.pop() if long else 1
                word = word if isinstance(word, bytes) else str(word).encode()
                if sink.wants(word):
                    sink.add(word, np.array(values, np.float64) * (length / scale), place=f"row {number:,}: ")
    except (sqlite3.Error, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"damaged, or not a file of Magnitude: {error}", path=path) from None


def _about(database: sqlite3.Connection, path: Path) -> tuple[int, float, bool]:
    """How many numbers a vector has, what they are divided by, and whether its length stands beside them."""
    tables = {name: kind for name, kind in database.execute("SELECT name, type FROM sqlite_master")}
    for name in (b"magnitude", b"magnitude_format"):
        if tables.get(name) != b"table":
            raise InputError(f"a database without a table {name.decode()!r}: is it of Magnitude?", path=path)
    about = dict(database.execute("SELECT lower(key), value FROM magnitude_format WHERE key <> 'entropy'"))
    if about.get(b"elmo"):
        raise InputError("vectors of ELMo, which depend on the sentence, are not read", path=path)
    size, digits = about.get(b"dim"), about.get(b"precision")
    columns = [row[1] for row in database.execute("PRAGMA table_info(magnitude)")]
    if not isinstance(size, int) or not isinstance(digits, int) or not 0 <= digits <= _MOST_DIGITS:
        raise InputError(f"dim is {size!r} and precision {digits!r}, expected numbers", path=path)
    long = b"magnitude" in columns
    if long:
        columns.remove(b"magnitude")
    if size < 1 or columns != [b"key", *(b"dim_%d" % number for number in range(size))]:
        raise InputError(f"dim is {size:,}, and the table has {len(columns) - 1:,} numbers per word", path=path)
    return size, 10.0**digits, long


def _rows(database: sqlite3.Connection, size: int, long: bool) -> Iterator[tuple]:
    names = ", ".join([*(f"dim_{number}" for number in range(size)), *(["magnitude"] if long else [])])
    return database.execute(f"SELECT key, {names} FROM magnitude ORDER BY rowid")
