# SPDX-License-Identifier: BSD-2-Clause
"""Labeled texts in tables (CSV, TSV), JSON files, and lines that begin with their labels."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, get_args

from pydantic import Field, field_validator, model_validator

from spago_jax.data.examples import Labeled
from spago_jax.data.files import find_file, open_text
from spago_jax.data.formats.record_files import Column, RecordFiles
from spago_jax.data.formats.records import Key, Record, delimiter_of, json_records, refuse_delimiter, table_records
from spago_jax.data.notes import BadRows, Notes
from spago_jax.errors import InputError, did_you_mean
from spago_jax.text.unicode import refuse_surrogates

__all__ = ["FILE_FORMATS", "Fields", "FileFormat", "LabeledText", "read_labeled"]

FileFormat = Literal["csv", "tsv", "json", "jsonl", "fasttext", "label-text", "lines"]
FILE_FORMATS: dict[str, FileFormat] = {
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".fasttext": "fasttext", ".ft": "fasttext",
}  # fmt: skip
"""The format of a file by the end of its name."""
LINE_FORMATS = ("fasttext", "label-text", "lines")
FASTTEXT = "__label__"
_BLANKS = re.compile(r"[ \t\v\f\r\0]+")  # what ends a word for fastText


class LabeledText(RecordFiles):
    """Labeled texts in CSV, TSV, JSON and JSONL files, fastText's format, or lines of a label and a text."""

    format: Literal["labeled-text"]
    text_field: Column | tuple[Column, ...] = Field(
        default="text", description="column or key of the text, by name or number from 0; several are joined by a blank"
    )
    pair_field: Column | None = Field(
        default=None, description="column or key of a second text, compared with the first"
    )
    label_field: Column | None = Field(
        default="label", description="column or key of the label, by name or number; null for texts without labels"
    )
    label_separator: str | None = Field(
        default=None, min_length=1, description="separates several labels of one text, such as '|'"
    )
    file_format: FileFormat | None = Field(default=None, description="format of the files (null: by their names)")

    suffixes: ClassVar[tuple[str, ...]] = tuple(FILE_FORMATS)

    @field_validator("text_field", mode="before")
    @classmethod
    def _several_fields(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("text_field")
    @classmethod
    def _some_field(cls, value: object) -> object:
        if value == ():
            raise ValueError("expected at least one column or key")
        return value

    @model_validator(mode="after")
    def _pairs_have_columns(self) -> "LabeledText":
        if self.pair_field is not None and self.file_format in LINE_FORMATS:
            raise ValueError(f"data.pair_field needs columns or keys, which data.file_format: {self.file_format} lacks")
        return self

    def read_files(self, files: Sequence[Path], notes: Notes) -> Iterator[Labeled]:
        """Yields the texts of some files."""
        for path in files:
            yield from self.read_one(path, notes)

    def read_one(
        self, path: Path, notes: Notes, *, labels: bool = True, file_format: str | None = None
    ) -> Iterator[Labeled]:
        """Yields the texts of one file.

        Args:
            path: the file.
            notes: where skipped rows are counted.
            labels: whether a text must have a label.
            file_format: instead of that of the section.
        """
        return read_labeled(
            path,
            text_field=self.text_field,
            label_field=self.label_field if labels else None,
            pair_field=self.pair_field,
            label_separator=self.label_separator,
            format=file_format or self.file_format,
            delimiter=self.delimiter,
            header=self.header,
            comment=self.comment,
            bad=BadRows(skip=self.skip_bad_rows, notes=notes),
        )

    def stratum(self, example: Labeled) -> str | None:
        """Returns the label, or the first of several."""
        return example.label if example.labels is None else (example.labels or ("",))[0]


def read_labeled(
    path: str | Path,
    *,
    text_field: Key | Sequence[Key] = "text",
    label_field: Key | None = "label",
    pair_field: Column | None = None,
    label_separator: str | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    header: bool = True,
    comment: str | None = None,
    bad: BadRows | None = None,
) -> Iterator[Labeled]:
    """Reads labeled texts, in constant memory (a JSON array apart).

    CSV may quote fields, with line ends inside; TSV has no quoting (a quotation mark is itself), one record per line.
    In JSON a key such as ``data.title`` looks into nested objects, and a number or a truth value as a label is written
    as JSON writes it. ``fasttext`` lines begin with ``__label__NAME`` (one or several), ``label-text`` lines with a
    label and a blank or a tab; ``lines`` are texts without labels. Blanks around a label are dropped.

    Args:
        path: the file; ``.gz`` is decompressed.
        text_field: the column or key of the text; several are joined by a blank.
        label_field: the column or key of the label, or None to read only texts.
        pair_field: the column or key of a second text.
        label_separator: what separates several labels of one text.
        format: ``csv``, ``tsv``, ``json``, ``jsonl``, ``fasttext``, ``label-text`` or ``lines``; None follows the
            file's name.
        delimiter: what separates the columns of a CSV file; None: as its first line shows.
        header: whether the first row of a table names its columns.
        comment: lines that begin with this are skipped.
        bad: takes malformed records; None: they are an error, reported together.

    Raises:
        InputError: an unknown format; the file is missing, empty or not UTF-8; a column or key is missing, or records
            are malformed (with their lines).

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = file.write_text('text,label\\n"Hello, you",greeting\\n')
    >>> list(read_labeled(file))
    [Labeled(text='Hello, you', label='greeting', line=2)]
    """
    path, delimiter = find_file(path), refuse_delimiter(delimiter)
    fields = Fields(text_field, label_field, pair_field, label_separator)
    bad = bad or BadRows()
    kind = format or _format_of(path)
    if kind in LINE_FORMATS:
        if pair_field is not None:
            raise InputError(f"pairs of texts are read from a table or from JSON, not from {kind}", path=path)
        return _from_lines(path, kind, fields, comment, bad)
    if kind in ("json", "jsonl"):
        records: Iterator[Record] = json_records(path, lines=kind == "jsonl", bad=bad)
    elif kind in ("csv", "tsv"):
        cut = delimiter or ("\t" if kind == "tsv" else delimiter_of(path, fields.keys(), ",", comment))
        records = table_records(path, delimiter=cut, header=header, keys=fields.keys(), comment=comment, bad=bad)
    else:
        raise InputError(f"format {kind!r} is unknown: {did_you_mean(kind, get_args(FileFormat))}", path=path)
    return _from_records(path, records, fields, bad)


class Fields:
    """The columns or keys that an example is made of."""

    def __init__(
        self, text: Key | Sequence[Key], label: Key | None = None, pair: Key | None = None, separator: str | None = None
    ):
        self.texts = (text,) if isinstance(text, str | int) else tuple(text)
        self.label, self.pair, self.separator = label, pair, separator

    def keys(self) -> list[Key]:
        """Returns all of them."""
        return [*self.texts, *(key for key in (self.pair, self.label) if key is not None)]

    def example(self, record: Record) -> Labeled:
        """Makes an example of a record.

        Raises:
            ValueError: for a value that is missing or of another kind.
        """
        try:
            text = " ".join(_text(record, key) for key in self.texts)
            pair = None if self.pair is None else _text(record, self.pair)
            if self.label is None:
                return Labeled(text, None, record.line, pair)
            label, labels = _label(record.value(self.label), self.label, self.separator)
        except KeyError as error:
            raise ValueError(error.args[0]) from None
        return Labeled(text, label, record.line, pair, labels)


def _text(record: Record, key: Key) -> str:
    text = record.value(key)
    if not isinstance(text, str):
        raise ValueError(f"expected a string: {key!r} is {json.dumps(text)[:60]}")
    return refuse_surrogates(text, f"not Unicode: {key!r}: ")


def _label(value: object, key: Key, separator: str | None) -> tuple[str | None, tuple[str, ...] | None]:
    """Returns the one label, or the several labels where there may be several."""
    if isinstance(value, list) or separator is not None:
        parts = value.split(separator) if isinstance(value, str) else value if isinstance(value, list) else [value]
        return None, tuple(dict.fromkeys(name for part in parts if (name := _name(part, key, empty=True))))
    return _name(value, key), None


def _name(value: object, key: Key, *, empty: bool = False) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    name = refuse_surrogates(value, f"not Unicode: {key!r}: ").strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or not (name or empty):
        what = "the label is empty" if isinstance(value, str) else "expected a label"
        raise ValueError(f"{what}: {key!r} is {json.dumps(value)[:60]}")
    return name


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix != ".gz"]
    if suffixes and suffixes[-1] in FILE_FORMATS:
        return FILE_FORMATS[suffixes[-1]]
    with open_text(path) as file:
        if next(iter(file), "").startswith(FASTTEXT):
            return "fasttext"
    raise InputError(
        "cannot tell the format from the name; set data.file_format (or --input-format) to csv, tsv, json, jsonl, "
        "fasttext, label-text or lines",
        path=path,
    )


def _from_records(path: Path, records: Iterator[Record], fields: Fields, bad: BadRows) -> Iterator[Labeled]:
    found = False
    for record in records:
        try:
            example = fields.example(record)
        except ValueError as error:
            bad.add(str(error), path=path, line=record.line)
            continue
        found = True
        yield example
    bad.finish()
    if not found:
        raise bad.nothing_left("no records", path=path)


def _from_lines(path: Path, kind: str, fields: Fields, comment: str | None, bad: BadRows) -> Iterator[Labeled]:
    found = False
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\r\n")
            if (not line.strip() and kind != "lines") or (comment is not None and line.startswith(comment)):
                continue
            labels, text = [], line
            if kind == "fasttext":
                while text.startswith(FASTTEXT):
                    name, *rest = _BLANKS.split(text, maxsplit=1)
                    labels.append(name.removeprefix(FASTTEXT))
                    text = rest[0] if rest else ""
            elif kind == "label-text":
                first = text.split(maxsplit=1)
                labels, text = first[:1], first[1] if len(first) > 1 else ""
            if fields.label is None or kind == "lines":
                yield Labeled(text, None, number)
            elif not labels or not all(labels):
                bad.add(f"the label is missing: {line[:60]!r}", path=path, line=number)
                continue
            elif fields.separator is None and len(labels) == 1:
                yield Labeled(text, labels[0], number)
            else:
                several = [part.strip() for label in labels for part in label.split(fields.separator or "\0")]
                yield Labeled(text, None, number, None, tuple(dict.fromkeys(filter(None, several))))
            found = True
    bad.finish()
    if not found:
        raise bad.nothing_left("empty: there is no line with a text", path=path)
