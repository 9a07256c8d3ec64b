# SPDX-License-Identifier: BSD-2-Clause
"""CoNLL column files: one token per line with its tags in columns; blank lines separate sentences."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from spago_jax.data.examples import Frame, Tokens
from spago_jax.data.files import find_file, new_file, open_text
from spago_jax.data.formats.reader import from_file
from spago_jax.data.formats.split_files import SplitFiles
from spago_jax.data.notes import BadRows, Notes
from spago_jax.errors import InputError

__all__ = ["Conll", "conll_block", "read_conll", "write_conll"]

_DOCUMENT = "-DOCSTART-"
_MARK = "\ufeff"  # a byte-order mark, also where files were joined


class Conll(SplitFiles):
    """CoNLL column files: a token and its tag."""

    format: Literal["conll"]
    token_column: int = Field(default=0, description="column of the token, from 0")
    tag_column: int = Field(default=-1, description="column of the tag; -1 is the last")
    scheme: Literal["auto", "IOB1", "IOB2", "BIOES", "BILOU", "IO", "plain"] = Field(
        default="auto", description="how the file writes spans; plain tags are no spans (parts of speech)"
    )

    comment: str | None = Field(
        default=None, min_length=1, description="lines that begin with this are comments, such as '# id ...'"
    )

    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".tsv", ".bio", ".iob", ".col")

    def tag_scheme(self) -> str:
        """As the config says."""
        return self.scheme

    def read_files(self, files: Sequence[Path], notes: Notes) -> Iterator[Tokens]:
        """Yields the sentences of some files."""
        for path in files:
            bad = BadRows("lines", skip=self.skip_bad_rows, notes=notes)
            yield from from_file(
                path,
                read_conll(
                    path,
                    token_column=self.token_column,
                    tag_column=self.tag_column,
                    comment=self.comment,
                    bad=bad,
                ),
            )


def read_conll(
    path: str | Path,
    *,
    token_column: int = 0,
    tag_column: int | None = -1,
    columns: int | None = None,
    comment: str | None = None,
    frames: bool = False,
    bad: BadRows | None = None,
) -> Iterator[Tokens]:
    """Reads a CoNLL column file sentence by sentence, in constant memory.

    The first token line decides for the file: if it has a tab, tabs separate columns (so that tokens may contain
    blanks), otherwise blanks do (only U+0020: tokens such as U+00A0 exist). ``-DOCSTART-`` lines are skipped; a token
    may begin with ``#``, as there are no comments unless ``comment`` says so. Line ends may be LF or CRLF, the last may
    be missing, byte-order marks are skipped, and ``.gz`` is decompressed.

    Args:
        path: the file.
        token_column: the column of the token, from 0; negative counts from the end.
        tag_column: the column of the tag, or None to read no tags (the file may then have one column only).
        columns: how many columns there must be; None: as many as the first token line has.
        comment: lines that begin with this are skipped.
        frames: keep the lines of each sentence, so that predicted tags can be written into them.
        bad: takes malformed lines, whose sentences are left out; None: the first of them is an error.

    Returns:
        An iterator of ``Tokens``; the file is looked up immediately, and read as the iterator advances.

    Raises:
        InputError: the file is missing, empty or not UTF-8; a line has another number of columns than the first, or
            an empty token or tag.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.conll")
    >>> _ = file.write_text("Ada\\tB-person\\ncoded\\tO\\n")
    >>> next(read_conll(file))
    Tokens(tokens=['Ada', 'coded'], tags=['B-person', 'O'], line=1)
    """
    return _read(find_file(path), token_column, tag_column, columns, comment, frames, bad)


@dataclass(slots=True)
class _Layout:
    """The layout that the first token line decided."""

    separator: str
    width: int
    token: int
    tag: int  # the token's own column if no tags are read
    line: int
    asked: bool  # the caller gave the width


def _read(
    path: Path,
    token_column: int,
    tag_column: int | None,
    columns: int | None,
    comment: str | None,
    frames: bool,
    bad: BadRows | None,
) -> Iterator[Tokens]:
    tokens: list[str] = []
    tags: list[str] = []
    kept: list[str] = []  # the lines of the sentence
    rows: list[int] = []
    tagged = tag_column is not None
    layout: _Layout | None = None
    separator, width, token_at, tag_at = "\t", -1, 0, 0
    found = broken = left = False
    start = number = 0

    def sentence() -> Tokens:
        frame = Frame(kept, rows, separator) if frames else None
        return Tokens(tokens, tags if tagged else None, start, frame=frame)

    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n").lstrip(_MARK)
            fields = line.split(separator)
            remark = comment is not None and line.startswith(comment)
            if remark or line.startswith(_DOCUMENT) or not line.strip(" \t\r"):
                if tokens and not remark:
                    if not broken:
                        left = True
                        yield sentence()
                    tokens, tags, kept, rows, broken = [], [], [], [], False
                if frames and line.strip():
                    kept.append(line)
                continue
            if len(fields) != width or "" in fields:  # seldom: the first line, aligned by blanks, or wrong
                try:
                    if layout is None:
                        layout = _first_line(path, number, line, token_column, tag_column, columns)
                        separator, width = layout.separator, layout.width
                        token_at, tag_at = layout.token, layout.tag
                    fields = _fields(path, number, line, layout)
                except _BadLine as error:
                    if bad is None:
                        raise InputError(str(error), path=path, line=number) from None
                    bad.add(str(error), path=path, line=number)
                    tokens, found, broken = [*tokens, ""], True, True
                    continue
            if not tokens:
                start = number
            found = True
            tokens.append(fields[token_at])
            if tagged:
                tags.append(fields[tag_at])
            if frames:
                rows.append(len(kept))
                kept.append(line)
    if tokens and not broken:
        left = True
        yield sentence()
    if bad is not None:
        bad.finish()
        if found and not left:
            raise bad.nothing_left("empty: no line has a token", path=path)
    if not found:
        raise InputError("empty: no line has a token", path=path)


class _BadLine(Exception):
    """A line that cannot be read."""


def _first_line(
    path: Path, number: int, line: str, token_column: int, tag_column: int | None, columns: int | None
) -> _Layout:
    separator = "\t" if "\t" in line or columns == 1 else " "
    width = len(_split(line, separator))
    asked = columns is not None
    if asked and width != columns:
        message = f"{_count(width)}, expected {columns}: {_shown(line)}"
        raise InputError(message, path=path, line=number)
    if tag_column is not None and width == 1:
        raise InputError(
            f"1 column, expected 2 or more, a token and its tag: {_shown(line)} (tag_column=None reads no tags)",
            path=path,
            line=number,
        )
    token = _column(path, number, "token_column", token_column, width)
    tag = token if tag_column is None else _column(path, number, "tag_column", tag_column, width)
    if tag_column is not None and tag == token:
        raise InputError(f"token_column and tag_column are both column {token}", path=path)
    return _Layout(separator, width, token, tag, number, asked)


def _column(path: Path, number: int, name: str, column: int, width: int) -> int:
    if not -width <= column < width:
        raise InputError(
            f"{name} {column} does not exist: {_count(width)}, numbered 0 to {width - 1}", path=path, line=number
        )
    return column % width


def _split(line: str, separator: str) -> list[str]:
    fields = line.split(separator)
    # aligned columns: several blanks are one separator, but two tabs enclose an empty column
    return [field for field in fields if field] if separator == " " else fields


def _fields(path: Path, number: int, line: str, layout: _Layout) -> list[str]:
    """Returns the columns of a line that is not in the common form: aligned by blanks, or wrong."""
    fields = _split(line, layout.separator)
    if len(fields) != layout.width:
        place = "" if layout.asked else f" as in line {layout.line}"
        message = f"{_count(len(fields))}, expected {layout.width}{place}: {_shown(line)}"
        if layout.separator == " " and "\t" in line:
            message += f" (a tab here, but blanks between the columns of line {layout.line})"
        elif layout.separator == "\t" and "\t" not in line and layout.width > 1:
            message += f" (no tab here, but tabs between the columns of line {layout.line})"
        raise _BadLine(message)
    for name, column in (("token", layout.token), ("tag", layout.tag)):
        if not fields[column]:
            raise _BadLine(f"the {name} is empty: {_shown(line)}")
    return fields


def _count(width: int) -> str:
    return f"{width} column{'' if width == 1 else 's'}"


def _shown(line: str) -> str:
    return repr(line if len(line) <= 80 else line[:77] + "...")


def conll_block(tokens: Sequence[str], *columns: Sequence[str]) -> str:
    """Returns one sentence as tab-separated CoNLL lines, with the blank line that ends it.

    Raises:
        InputError: a value is empty or contains a tab or a line end, or a column and the tokens differ in length.

    >>> conll_block(["Ada", "coded"], ["B-person", "O"])
    'Ada\\tB-person\\ncoded\\tO\\n\\n'
    """
    for column in columns:
        if len(column) != len(tokens):
            raise InputError(f"{len(column)} tags for {len(tokens)} tokens, expected one per token")
    for value in (value for column in (tokens, *columns) for value in column):
        if not value or "\t" in value or "\n" in value or "\r" in value:
            raise InputError(f"{value!r} cannot be written in a column: it is empty or contains a tab or a line end")
    return "\n".join("\t".join(row) for row in zip(tokens, *columns, strict=True)) + "\n\n"


def write_conll(path: str | Path, sentences: Iterable[Tokens]) -> None:
    """Writes sentences as a CoNLL file of two tab-separated columns (one if a sentence has no tags).

    The file appears complete or not at all.

    Raises:
        InputError: a token or tag cannot be written, or the file cannot.
    """
    with new_file(path) as file:
        for sentence in sentences:
            columns = () if sentence.tags is None else (sentence.tags,)
            file.write(conll_block(sentence.tokens, *columns).encode("utf-8"))
