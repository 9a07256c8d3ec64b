# SPDX-License-Identifier: BSD-2-Clause
"""Parallel texts, each with the one that is to be written for it: columns of a table, JSON keys, or two files."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from spago_jax.data.examples import Parallel
from spago_jax.data.files import open_text
from spago_jax.data.formats.labeled_text import FILE_FORMATS, read_labeled
from spago_jax.data.formats.reader import SPLITS, refuse_missing
from spago_jax.data.formats.record_files import Column, RecordFiles
from spago_jax.data.formats.split_files import Files, several
from spago_jax.data.notes import BadRows, Notes
from spago_jax.errors import InputError

__all__ = ["ParallelText", "read_line_pairs"]

_TARGETS = tuple(f"{split}_target" for split in SPLITS)


class ParallelText(RecordFiles):
    """Pairs of texts in CSV, TSV, JSON and JSONL files, or in two files whose lines belong together.

    Where dev or test are drawn from ``train``, pairs with the same source go to the same part: several translations of
    a sentence are not split between training and test.
    """

    format: Literal["parallel"]
    train_target: Files | None = Field(
        default=None, description="the targets of `train`, line by line, where they stand in files of their own"
    )
    dev_target: Files | None = Field(default=None, description="the targets of `dev`, line by line")
    test_target: Files | None = Field(default=None, description="the targets of `test`, line by line")
    source_field: Column = Field(
        default="source", description="column or key of the text that is read, by name or number from 0"
    )
    target_field: Column = Field(
        default="target", description="column or key of the text that is written, by name or number from 0"
    )
    file_format: Literal["csv", "tsv", "json", "jsonl"] | None = Field(
        default=None, description="format of the files (null: by their names)"
    )

    suffixes: ClassVar[tuple[str, ...]] = tuple(
        suffix for suffix, kind in FILE_FORMATS.items() if kind in ("csv", "tsv", "json", "jsonl")
    )

    _several_targets = field_validator(*_TARGETS, mode="before")(several)

    @model_validator(mode="after")
    def _targets_have_sources(self) -> "ParallelText":
        named = [split for split in SPLITS if getattr(self, split) is not None]
        targets = [split for split in SPLITS if getattr(self, f"{split}_target") is not None]
        for split in targets:
            if split not in named:
                raise ValueError(f"data.{split}_target has no sources; name their file as data.{split}")
        for split in named:
            if targets and split not in targets:
                raise ValueError(
                    f"data.{targets[0]} has its targets in a file of their own and data.{split} has none; give "
                    f"data.{split}_target"
                )
        for key in ("file_format", "delimiter", "comment"):
            if targets and getattr(self, key) is not None:
                raise ValueError(f"data.{key} is about tables and JSON; files of lines, as data.{targets[0]}_target "
                                 "makes them, have none")  # fmt: skip
        return self

    @property
    def two_files(self) -> bool:
        """Whether sources and targets stand in files of their own, line by line."""
        return any(getattr(self, name) is not None for name in _TARGETS)

    def targets(self, split: str) -> list[Path]:
        """Returns the files of the targets of a part; none where they stand beside the sources."""
        named = getattr(self, f"{split}_target", None)
        return [path for name in ((named,) if isinstance(named, str) else named or ()) for path in self.expand(name)]

    def sources(self, split: str) -> list[Path]:
        """Returns all files that a part is read from; those of the targets stand after those of the sources."""
        own = "train" if self.is_drawn(split) else split
        return [*self.files(own), *self.targets(own)]

    def settings(self, split: str) -> dict[str, Any]:
        """Returns all that the pairs of a part depend on beside the files."""
        return {key: value for key, value in super().settings(split).items() if key not in _TARGETS}

    def check(self) -> None:
        """Refuses missing files, and other numbers of them for targets than for sources."""
        super().check()
        for split in SPLITS:
            sources, targets = self.files(split), self.targets(split)
            refuse_missing({f"data.{split}_target": targets})
            if targets and len(sources) != len(targets):
                raise InputError(
                    f"data.{split} has {len(sources)} files and data.{split}_target {len(targets)}: expected one for "
                    "each"
                )

    def read_files(self, files: Sequence[Path], notes: Notes) -> Iterator[Parallel]:
        """Yields the pairs of some files; of two kinds of files, those of the targets stand in the second half.

        Raises:
            InputError: for a missing or damaged file, empty texts (with their lines), or files of unequal length.
        """
        if not self.two_files:
            for path in files:
                yield from self._read_one(path, BadRows(skip=self.skip_bad_rows, notes=notes))
            return
        if len(files) % 2:
            raise InputError(
                f"{len(files)} files of sources and targets, expected as many of each: SOURCE,TARGET", path=files[0]
            )
        half = len(files) // 2
        for source, target in zip(files[:half], files[half:], strict=True):
            yield from read_line_pairs(source, target, BadRows("pairs", skip=self.skip_bad_rows, notes=notes))

    def _read_one(self, path: Path, bad: BadRows) -> Iterator[Parallel]:
        records = read_labeled(
            path,
            text_field=self.source_field,
            pair_field=self.target_field,
            label_field=None,
            format=self.file_format,
            delimiter=self.delimiter,
            header=self.header,
            comment=self.comment,
            bad=bad,
        )
        found = False
        for record in records:
            target = record.pair or ""
            if not record.text.strip() or not target.strip():
                side = "target" if record.text.strip() else "source"
                bad.add(f"the {side} is empty", path=path, line=record.line)
                continue
            found = True
            yield Parallel(record.text, target, record.line)
        bad.finish()
        if not found:
            raise bad.nothing_left("no pairs of texts", path=path)

    def draw(self) -> dict[str, np.ndarray]:
        """Draws the parts: pairs with the same source stay together."""
        groups: dict[str, int] = {}
        owners = np.array(
            [groups.setdefault(pair.source, len(groups)) for pair in self.read_files(self.sources("train"), Notes())]
        )
        parts = self.draw_groups(len(groups))
        return {name: np.flatnonzero(np.isin(owners, chosen)) for name, chosen in parts.items()}


def read_line_pairs(source: str | Path, target: str | Path, bad: BadRows | None = None) -> Iterator[Parallel]:
    """Reads two files whose lines belong together, in constant memory; lines that are blank in both are passed over.

    Args:
        source: the texts that are read, one per line; ``.gz`` is decompressed.
        target: the texts that are written.
        bad: takes pairs of which one side is blank; None: they are an error, reported together.

    Raises:
        InputError: a file is missing or not UTF-8, one has more lines than the other, or a side is blank.

    >>> import tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.en").write_text("one\\ntwo\\n"), (folder / "a.it").write_text("uno\\ndue\\n")
    >>> list(read_line_pairs(folder / "a.en", folder / "a.it"))
    [Parallel(source='one', target='uno', line=1), Parallel(source='two', target='due', line=2)]
    """
    source, target, bad = Path(source), Path(target), bad or BadRows("pairs")
    found = False
    with open_text(source) as sources, open_text(target) as targets:
        for number, (one, other) in enumerate(zip_longest(sources, targets), 1):
            if one is None or other is None:
                more, less = (source, target) if other is None else (target, source)
                raise InputError(
                    f"has more lines than {less}, which ends after {number - 1}: line by line they belong together",
                    path=more,
                    line=number,
                )
            one, other = one.rstrip("\r\n"), other.rstrip("\r\n")
            if not one.strip() and not other.strip():
                continue
            if not one.strip() or not other.strip():
                side, path = ("source", source) if not one.strip() else ("target", target)
                bad.add(f"the {side} is empty", path=path, line=number)
                continue
            found = True
            yield Parallel(one, other, number)
    bad.finish()
    if not found:
        raise bad.nothing_left("empty: there are no pairs of texts", path=source)
