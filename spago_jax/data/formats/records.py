# SPDX-License-Identifier: BSD-2-Clause
"""Records of tables and JSON files, whose values are found by a column's name or number, or by a dotted key."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from spago_jax.data.files import open_text
from spago_jax.data.notes import BadRows
from spago_jax.errors import InputError, did_you_mean

__all__ = ["Key", "Record", "json_records", "refuse_delimiter", "table_records"]

Key = str | int
_LONGEST = 1 << 26  # characters per field; the csv module's own limit, 131072, is too small for documents
_LOOKED_AT = 64  # lines at the beginning of a file that show how its columns are separated


class Record(Protocol):
    """One row of a table, or one JSON object."""

    line: int

    def value(self, key: Key) -> Any:
        """Returns the value of a column or key.

        Raises:
            KeyError: where it is missing, with a message that says what there is.
        """
        ...


class TableRow:
    """A row of a table.

    Args:
        cells: the values.
        header: the names of the columns; None if there is no header.
        line: the line that it begins in.
    """

    def __init__(self, cells: Sequence[str], header: Mapping[str, int] | None, line: int):
        self.cells, self.header, self.line = cells, header, line

    def value(self, key: Key) -> str:
        """Returns the cell of a column, by its name, or by its number, from 0 (negative: from the end)."""
        if isinstance(key, int):
            if not -len(self.cells) <= key < len(self.cells):
                raise KeyError(f"no column {key}; they are numbered 0 to {len(self.cells) - 1}")
            return self.cells[key]
        if self.header is None:
            raise KeyError(f"no column {key!r}: there is no header; give the number of the column, from 0")
        return self.cells[self.header[key]]


class JsonObject:
    """A JSON object.

    Args:
        fields: its keys and values.
        line: the line that it stands in, or its number in an array.
    """

    def __init__(self, fields: Mapping[str, Any], line: int):
        self.fields, self.line = fields, line

    def value(self, key: Key) -> Any:
        """Returns the value of a key; ``a.b`` and ``a.0`` look into nested objects and arrays.

        >>> JsonObject({"a": {"b": [7, 8]}}, 1).value("a.b.1")
        8
        """
        if str(key) in self.fields:
            return self.fields[str(key)]
        found: Any = self.fields
        for part in str(key).split("."):
            if isinstance(found, Mapping) and part in found:
                found = found[part]
            elif isinstance(found, list) and part.isascii() and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                raise KeyError(missing("key", str(key), list(self.fields)))
        return found


def missing(what: str, key: str, found: Sequence[str]) -> str:
    """Returns the message for a column or key that is not there."""
    hint = did_you_mean(key, found, known="found") if found else "none found"
    listed = "" if hint.startswith(("found", "none")) else f" (found: {', '.join(found)})"
    return f"no {what} {key!r}; {hint}{listed}"


def table_records(
    path: Path, *, delimiter: str, header: bool, keys: Iterable[Key], comment: str | None, bad: BadRows
) -> Iterator[TableRow]:
    """Yields the rows of a table in constant memory.

    Fields may be quoted, with line ends inside, unless tabs separate them: then a quotation mark is itself, and each
    line is one row.

    Raises:
        InputError: an empty file; a column that is wanted and not there, or there twice; text after a closing quote.
    """
    with open_text(path, newline="") as file:
        rows = _Rows(file, delimiter, comment, strict=True)
        names, width, found = None, 0, False
        try:
            if header:
                row = next(rows, None)
                if row is None:
                    raise InputError("empty, expected a header line", path=path)
                names, width = _header(path, row, keys, rows.line), len(row)
            for row in rows:
                width = width or len(row)
                if len(row) == width:
                    found = True
                    yield TableRow(row, names, rows.line)
                else:
                    place = f"in the header ({', '.join(names)})" if names else "in the first row"
                    count = f"{len(row)} field{'s' * (len(row) != 1)}"
                    bad.add(f"{count}, expected {width} as {place}", path=path, line=rows.line)
        except csv.Error as problem:
            raise InputError(f"malformed: {problem}", path=path, line=rows.line) from None
        bad.finish()
        if not found:
            raise bad.nothing_left("no records below the header" if header else "no records", path=path)


class _Rows:
    """The rows of a table that are neither blank nor comments, with the line that the last one begins in."""

    def __init__(self, lines: Iterable[str], delimiter: str, comment: str | None, *, strict: bool = False):
        csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
        quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        self._lines, self._comment, self._begins, self.line = iter(lines), comment, True, 1
        self._rows = csv.reader(self._fed(), delimiter=delimiter, quoting=quoting, strict=strict)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        row: list[str] = []
        while not row:  # the csv module returns blank lines as empty rows
            self._begins, self.line = True, self._rows.line_num + 1
            row = next(self._rows)
        return row

    def _fed(self) -> Iterator[str]:
        # A comment becomes a blank line, so that line numbers stay right; within quotes there are none.
        for line in self._lines:
            remark = self._begins and self._comment is not None and line.startswith(self._comment)
            self._begins = False
            yield "\n" if remark else line


def _header(path: Path, row: Sequence[str], keys: Iterable[Key], line: int) -> dict[str, int]:
    row = [name.strip() for name in row]
    for key in keys:
        if isinstance(key, str) and row.count(key) > 1:
            raise InputError(
                f"column {key!r} is there {row.count(key)} times: give its number, from 0", path=path, line=line
            )
        if isinstance(key, str) and key not in row:
            raise InputError(missing("column", key, row), path=path, line=line)
    return {name: number for number, name in enumerate(row)}


def refuse_delimiter(delimiter: str | None) -> str | None:
    """Returns the separator of a table's columns, which must be one character, and no quotation mark or line end.

    Raises:
        InputError: for another one.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise InputError(f"delimiter {delimiter!r}: expected one character, and no quotation mark or line end")
    return delimiter


def delimiter_of(path: Path, keys: Sequence[Key], default: str, comment: str | None = None) -> str:
    """Returns the separator of a CSV file: the one among ``,``, ``;``, tab and ``|`` that its first rows are cut by.

    It is the one that gives the columns that are wanted by name; otherwise the one that cuts every row into as many
    fields, and into the most.

    Raises:
        InputError: the file is missing or is not UTF-8.
    """
    with open_text(path, newline="") as file:
        lines = list(islice(file, _LOOKED_AT))
        whole = next(file, None) is None
    named = {key for key in keys if isinstance(key, str)}
    best, most = default, (False, 1)
    for candidate in dict.fromkeys((default, ",", ";", "\t", "|")):
        try:
            rows = list(_Rows(lines, candidate, comment))
        except csv.Error:  # a field beyond all limits, as it is cut here
            continue
        if rows and named and named <= {cell.strip() for cell in rows[0]}:
            return candidate
        widths = [len(row) for row in (rows if whole else rows[:-1])]  # the last one may have been cut off
        found = (len(set(widths)) == 1, widths[0]) if widths and widths[0] > 1 else most
        if found > most:
            best, most = candidate, found
    return best


def json_records(path: Path, *, lines: bool, bad: BadRows) -> Iterator[JsonObject]:
    """Yields the objects of a file of JSON lines, in constant memory, or of a JSON array.

    Raises:
        InputError: the file is empty, or is not JSON; an item is not an object.
    """
    found = False
    for number, value in _lines(path, bad) if lines else _array(path):
        if isinstance(value, dict):
            found = True
            yield JsonObject(value, number)
        else:
            bad.add(f"a {type(value).__name__}, expected an object", path=path, line=number)
    bad.finish()
    if not found:
        what = "one JSON object per line" if lines else "an array of JSON objects"
        raise bad.nothing_left(f"empty, expected {what}", path=path)


def _lines(path: Path, bad: BadRows) -> Iterator[tuple[int, Any]]:
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError) as problem:
                    bad.add(f"not JSON: {problem}", path=path, line=number)
                    continue
                yield number, value


def _array(path: Path) -> Iterator[tuple[int, Any]]:
    with open_text(path) as file:
        try:
            found = json.load(file)
        except (ValueError, RecursionError) as problem:
            raise InputError(f"not JSON: {problem}", path=path) from None
    if not isinstance(found, list):
        raise InputError(f"a JSON {type(found).__name__}, expected an array of objects", path=path)
    yield from enumerate(found, 1)
