# SPDX-License-Identifier: BSD-2-Clause
"""CoNLL-U files of Universal Dependencies: ten tab-separated columns per word, comments, blank lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from spago_jax.data.examples import Tokens
from spago_jax.data.files import find_file, open_text
from spago_jax.data.formats.reader import Reader, as_files, from_file
from spago_jax.errors import InputError, did_you_mean

__all__ = ["CONLLU_COLUMNS", "Conllu", "read_conllu"]

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")


class Conllu(Reader):
    """Universal Dependencies files in CoNLL-U format: a word and one of its columns."""

    format: Literal["conllu"]
    train: str | tuple[str, ...] | None = Field(
        default=None, description="training file, or a list of several (.gz too)"
    )
    dev: str | None = Field(default=None, description="file that picks the best checkpoint (null: the last is taken)")
    test: str | None = Field(default=None, description="file for the final scores")
    column: str = Field(default="upos", description="what to predict: upos, xpos, deprel, ...")

    suffixes: ClassVar[tuple[str, ...]] = (".conllu",)

    def files(self, split: str) -> list[Path]:
        """Returns the files of a part of the data."""
        return as_files(getattr(self, split))

    def read(self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0) -> Iterator[Tokens]:
        """Yields the sentences of a part of the data."""
        for path in self.files(split) if files is None else files:
            yield from from_file(path, read_conllu(path, column=self.column))


def read_conllu(path: str | Path, *, column: str | None = "upos") -> Iterator[Tokens]:
    """Reads a CoNLL-U file sentence by sentence: each word's form and one chosen column as its tag.

    Multi-word ranges (``1-2 don't``) and empty nodes (``8.1``) are skipped, as they are not syntactic words;
    so are comments. ``.gz`` is decompressed. Format: https://universaldependencies.org/format.html

    Args:
        path: the file.
        column: ``id``, ``form``, ``lemma``, ``upos``, ``xpos``, ``feats``, ``head``, ``deprel``, ``deps`` or ``misc``,
            or None for no tags.

    Raises:
        InputError: no such column; the file is missing, empty or not UTF-8; a line does not have ten columns, has an
            id that is invalid or out of order, or an empty column.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.conllu")
    >>> _ = file.write_text("# text = Go!\\n1\\tGo\\tgo\\tVERB" + "\\t_" * 6 + "\\n2\\t!\\t!\\tPUNCT" + "\\t_" * 6)
    >>> next(read_conllu(file))
    Tokens(tokens=['Go', '!'], tags=['VERB', 'PUNCT'], line=2)
    """
    if column is not None and column not in CONLLU_COLUMNS:
        raise InputError(f"{column!r} is not a column of CoNLL-U: {did_you_mean(column, CONLLU_COLUMNS)}")
    return _read(find_file(path), None if column is None else CONLLU_COLUMNS.index(column))


def _read(path: Path, at: int | None) -> Iterator[Tokens]:
    tokens: list[str] = []
    tags: list[str] = []
    start = 0
    found = False
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if not line or line.isspace():
                if tokens:
                    found = True
                    yield Tokens(tokens, None if at is None else tags, start)
                    tokens, tags = [], []
                continue
            if line[0] == "#":
                continue
            fields = line.split("\t")
            if len(fields) != len(CONLLU_COLUMNS):
                shown = line if len(line) <= 80 else line[:77] + "..."
                raise InputError(
                    f"{len(fields)} tab-separated columns, expected the {len(CONLLU_COLUMNS)} of CoNLL-U: {shown!r}",
                    path=path,
                    line=number,
                )
            identity = fields[0]
            if identity != str(len(tokens) + 1):
                if _passed_over(identity):
                    continue
                raise InputError(
                    f"word id {identity!r}, expected '{len(tokens) + 1}' (or a range such as 1-2, or an empty node"
                    " such as 8.1)",
                    path=path,
                    line=number,
                )
            tag = fields[1 if at is None else at]
            if not fields[1] or not tag:
                name = CONLLU_COLUMNS[1 if not fields[1] or at is None else at]
                raise InputError(f"the {name} is empty; CoNLL-U writes '_' for nothing", path=path, line=number)
            if not tokens:
                start = number
            tokens.append(fields[1])
            tags.append(tag)
    if tokens:
        found = True
        yield Tokens(tokens, None if at is None else tags, start)
    if not found:
        raise InputError("empty: no line has a word", path=path)


def _passed_over(identity: str) -> bool:
    for mark in "-.":
        left, found, right = identity.partition(mark)
        if found:
            return left.isdigit() and right.isdigit()
    return False
