# SPDX-License-Identifier: BSD-2-Clause
"""Labeled texts in CSV, TSV and JSON-lines files."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from spago_jax.data.examples import Labeled
from spago_jax.data.files import find_file, open_text
from spago_jax.data.formats.reader import Reader, as_files
from spago_jax.errors import InputError, did_you_mean
from spago_jax.text.unicode import refuse_surrogates

__all__ = ["LabeledText", "read_labeled"]

_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_LONGEST = 1 << 26  # characters per field; the csv module's own limit, 131072, is too small for documents


class LabeledText(Reader):
    """Labeled texts in CSV, TSV or JSONL files."""

    format: Literal["labeled-text"]
    train: str | None = Field(default=None, description="training file")
    dev: str | None = Field(default=None, description="file that picks the best checkpoint")
    test: str | None = Field(default=None, description="file for the final scores")
    text_field: str = Field(default="text", description="column or key of the text")
    label_field: str = Field(default="label", description="column or key of the label")
    dev_fraction: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of `train`, drawn by the seed, that becomes dev where it has no file",
    )

    def files(self, split: str) -> list[Path]:
        """Returns the files of a part of the data."""
        return as_files(getattr(self, split))

    def carve(self, count: int, seed: int) -> dict[str, np.ndarray]:
        """Draws by the seed which of ``count`` training texts are train and which dev; dev only if requested.

        >>> LabeledText(format="labeled-text", dev_fraction=0.25).carve(8, 0)["dev"].tolist()
        [2, 4]
        """
        if self.dev is not None or not self.dev_fraction:
            return {"train": np.arange(count)}
        order = np.random.default_rng(seed).permutation(count)
        cut = round(count * self.dev_fraction)
        return {"train": np.sort(order[cut:]), "dev": np.sort(order[:cut])}

    def read(self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0) -> Iterator[Labeled]:
        """Yields the texts of a part of the data."""
        for path in self.files(split) if files is None else files:
            yield from read_labeled(path, text_field=self.text_field, label_field=self.label_field)


def read_labeled(
    path: str | Path,
    *,
    text_field: str = "text",
    label_field: str | None = "label",
    format: str | None = None,
) -> Iterator[Labeled]:
    """Reads labelled texts from a CSV or TSV file with a header, or from JSON lines, in constant memory.

    CSV may quote fields, with line ends inside; TSV has no quoting (a quotation mark is itself), one record per line.
    In JSON lines each line is an object; a number or a truth value as a label is written as JSON writes it.

    Args:
        path: the file; ``.gz`` is decompressed.
        text_field: the column or key of the text.
        label_field: the column or key of the label, or None to read only texts.
        format: ``csv``, ``tsv`` or ``jsonl``; None follows the file's name.

    Raises:
        InputError: an unknown format; the file is missing, empty or not UTF-8; a column or key is missing, or a record
            is malformed (with its line).

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = file.write_text('text,label\\n"Hello, you",greeting\\n')
    >>> list(read_labeled(file))
    [Labeled(text='Hello, you', label='greeting', line=2)]
    """
    path = find_file(path)
    if format is None:
        suffixes = [suffix.lower() for suffix in path.suffixes if suffix != ".gz"]
        format = _SUFFIXES.get(suffixes[-1]) if suffixes else None
        if format is None:
            raise InputError(f"cannot tell the format from the name; set format to one of {_formats()}", path=path)
    elif format not in _SUFFIXES.values():
        raise InputError(f"format {format!r} is unknown: {did_you_mean(format, set(_SUFFIXES.values()))}", path=path)
    if format == "jsonl":
        return _json_lines(path, text_field, label_field)
    return _table(path, text_field, label_field, "," if format == "csv" else "\t")


def _formats() -> str:
    return ", ".join(sorted(set(_SUFFIXES.values())))


def _missing(path: Path, line: int, field: str, what: str, found: list[str]) -> InputError:
    hint = did_you_mean(field, found, known="found") if found else "none found"
    listed = "" if hint.startswith(("found", "none")) else f" (found: {', '.join(found)})"
    return InputError(f"no {what} {field!r}; {hint}{listed}", path=path, line=line)


def _table(path: Path, text_field: str, label_field: str | None, delimiter: str) -> Iterator[Labeled]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    quoting = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    with open_text(path, newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True)
        line = 1
        try:
            header = next(rows, None)
            if header is None:
                raise InputError("empty, expected a header line", path=path)
            columns = [_index(path, header, field) for field in (text_field, label_field) if field is not None]
            line, found = rows.line_num + 1, False
            for row in rows:
                if row:  # the csv module returns blank lines as empty rows
                    if len(row) != len(header):
                        raise InputError(
                            f"{len(row)} field{'s' * (len(row) != 1)}, expected {len(header)} as in the header"
                            f" ({', '.join(header)})",
                            path=path,
                            line=line,
                        )
                    label = row[columns[1]] if len(columns) > 1 else None
                    if label == "":
                        raise InputError(f"the label {label_field!r} is empty", path=path, line=line)
                    found = True
                    yield Labeled(row[columns[0]], label, line)
                line = rows.line_num + 1
        except csv.Error as problem:
            raise InputError(f"malformed: {problem}", path=path, line=line) from None
        if not found:
            raise InputError("no records below the header", path=path)


def _index(path: Path, header: list[str], field: str) -> int:
    if field not in header:
        raise _missing(path, 1, field, "column", header)
    return header.index(field)


def _json_lines(path: Path, text_field: str, label_field: str | None) -> Iterator[Labeled]:
    found = False
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as problem:
                raise InputError(f"not JSON: {problem}", path=path, line=number) from None
            if not isinstance(record, dict):
                kind = type(record).__name__
                raise InputError(f"a {kind}, expected an object with {text_field!r}", path=path, line=number)
            for field in (text_field, label_field):
                if field is not None and field not in record:
                    raise _missing(path, number, field, "key", list(record))
            text = record[text_field]
            if not isinstance(text, str):
                raise InputError(
                    f"{text_field!r} is {json.dumps(text)[:60]}, expected a string", path=path, line=number
                )
            label = None
            if label_field is not None:
                label = record[label_field]
                if isinstance(label, bool | int | float):
                    label = json.dumps(label)
                if not isinstance(label, str) or not label:
                    shown = json.dumps(label)[:60]
                    raise InputError(f"{label_field!r} is {shown}, expected a label", path=path, line=number)
            found = True
            for value in (text, label or ""):
                refuse_surrogates(value, path=path, line=number)
            yield Labeled(text, label, number)
    if not found:
        raise InputError("empty, expected one JSON object per line", path=path)
