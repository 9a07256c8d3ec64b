# SPDX-License-Identifier: BSD-2-Clause
"""CoNLL-U files of Universal Dependencies: ten tab-separated columns per word, comments, blank lines."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from spago_jax.data.examples import Frame, Tokens
from spago_jax.data.files import find_file, open_text
from spago_jax.data.formats.reader import from_file
from spago_jax.data.formats.split_files import SplitFiles
from spago_jax.data.notes import BadRows, Notes
from spago_jax.errors import InputError, did_you_mean

__all__ = ["CONLLU_COLUMNS", "Conllu", "read_conllu"]

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


class Conllu(SplitFiles):
    """Universal Dependencies files in CoNLL-U format: a word and one of its columns."""

    format: Literal["conllu"]
    column: str = Field(default="upos", description="what to predict: upos, xpos, deprel, ...")

    suffixes: ClassVar[tuple[str, ...]] = (".conllu",)

    def read_files(self, files: Sequence[Path], notes: Notes) -> Iterator[Tokens]:
        """Yields the sentences of some files."""
        for path in files:
            bad = BadRows("sentences", skip=self.skip_bad_rows, notes=notes)
            yield from from_file(path, read_conllu(path, column=self.column, bad=bad))


def read_conllu(
    path: str | Path, *, column: str | None = "upos", target: str | None = None, bad: BadRows | None = None
) -> Iterator[Tokens]:
    """Reads a CoNLL-U file sentence by sentence: each word's form and one chosen column as its tag.

    Multi-word ranges (``1-2 don't``) and empty nodes (``8.1``) are skipped, as they are not syntactic words;
    so are comments. ``.gz`` is decompressed. Format: https://universaldependencies.org/format.html

    Args:
        path: the file.
        column: ``id``, ``form``, ``lemma``, ``upos``, ``xpos``, ``feats``, ``head``, ``deprel``, ``deps`` or ``misc``,
            or None for no tags.
        target: the column that predicted tags are to be written into; the lines of each sentence are then kept.
        bad: takes sentences with malformed lines, which are left out; None: the first of them is an error.

    Raises:
        InputError: no such column; the file is missing, empty or not UTF-8; a line does not have ten columns, has an
            id that is invalid or out of order, or an empty column.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.conllu")
    >>> _ = file.write_text("# text = Go!\\n1\\tGo\\tgo\\tVERB" + "\\t_" * 6 + "\\n2\\t!\\t!\\tPUNCT" + "\\t_" * 6)
    >>> next(read_conllu(file))
    Tokens(tokens=['Go', '!'], tags=['VERB', 'PUNCT'], line=2)
    """
    for name in (column, target):
        if name is not None and name not in CONLLU_COLUMNS:
            raise InputError(f"{name!r} is not a column of CoNLL-U: {did_you_mean(name, CONLLU_COLUMNS)}")
    at = None if column is None else CONLLU_COLUMNS.index(column)
    return _read(find_file(path), at, None if target is None else CONLLU_COLUMNS.index(target), bad)


def _read(path: Path, at: int | None, target: int | None, bad: BadRows | None) -> Iterator[Tokens]:
    found = False
    with open_text(path) as file:
        for block in _blocks(file):
            try:
                sentence = _sentence(block, at, target)
            except _BadLine as error:
                if bad is None:
                    raise InputError(str(error), path=path, line=error.line) from None
                bad.add(str(error), path=path, line=error.line)
                continue
            if sentence is not None:
                found = True
                yield sentence
    bad = bad or BadRows()
    bad.finish()
    if not found:
        raise bad.nothing_left("empty: no line has a word", path=path)


def _blocks(file: Iterable[str]) -> Iterator[list[tuple[int, str]]]:
    """Yields the numbered lines between blank lines."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(file, 1):
        line = line.rstrip("\r\n").lstrip("\ufeff")
        if line and not line.isspace():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


class _BadLine(Exception):
    """A line that cannot be read."""

    def __init__(self, message: str, line: int):
        super().__init__(message)
        self.line = line


def _sentence(block: list[tuple[int, str]], at: int | None, target: int | None) -> Tokens | None:
    """Returns the sentence of a block of lines; None if it has no words."""
    tokens: list[str] = []
    tags: list[str] = []
    rows: list[int] = []
    start = 0
    for row, (number, line) in enumerate(block):
        if line[0] == "#":
            continue
        fields = line.split("\t")
        if len(fields) != len(CONLLU_COLUMNS):
            shown = line if len(line) <= 80 else line[:77] + "..."
            count = len(CONLLU_COLUMNS)
            raise _BadLine(f"{len(fields)} tab-separated columns, expected the {count} of CoNLL-U: {shown!r}", number)
        identity = fields[0]
        if identity != str(len(tokens) + 1):
            if _passed_over(identity):
                continue
            raise _BadLine(
                f"the word id is out of order: {identity!r}, expected '{len(tokens) + 1}'"
                " (or a range such as 1-2, or an empty node such as 8.1)",
                number,
            )
        tag = fields[1 if at is None else at]
        if not fields[1] or not tag:
            name = CONLLU_COLUMNS[1 if not fields[1] or at is None else at]
            raise _BadLine(f"the {name} is empty; CoNLL-U writes '_' for nothing", number)
        start = start or number
        tokens.append(fields[1])
        tags.append(tag)
        rows.append(row)
    if not tokens:
        return None
    frame = None if target is None else Frame([line for _, line in block], rows, column=target)
    return Tokens(tokens, None if at is None else tags, start, frame=frame)


def _passed_over(identity: str) -> bool:
    for mark in "-.":
        left, found, right = identity.partition(mark)
        if found:
            return left.isdigit() and right.isdigit()
    return False
