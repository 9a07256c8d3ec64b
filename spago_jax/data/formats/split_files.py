# SPDX-License-Identifier: BSD-2-Clause
"""The parts of a corpus: each one or several files, or drawn from the training files."""

import abc
import functools
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from spago_jax.core.section import DataPath, PositiveInt, Section
from spago_jax.data.draw import draw_parts
from spago_jax.data.files import find_file
from spago_jax.data.formats.reader import SPLITS, Reader
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError

Files = DataPath | tuple[DataPath, ...]


def several(value: object) -> Any:
    """Returns what a config says of files, a list as a tuple; for validators that run before that of ``Files``.

    Raises:
        ValueError: for an empty list.
    """
    if isinstance(value, list) and not value:
        raise ValueError("an empty list names no file; leave the key away")
    return tuple(value) if isinstance(value, list) else value


def expanded(name: str, is_mine: Callable[[Path], bool]) -> list[Path]:
    """Returns the files that a name, a pattern or a folder stands for, sorted; the name itself if there are none.

    Args:
        name: a path or a pattern; of a file whose own name has brackets or stars in it, that file.
        is_mine: which files of a folder are meant.
    """
    path = Path(name)
    if os.path.isdir(name):  # unlike the methods of a Path also for names that no file can have
        found = [file for file in path.iterdir() if file.is_file() and is_mine(file)]
    elif not os.path.exists(name) and glob.has_magic(name):
        found = [file for file in map(Path, glob.glob(name, recursive=True)) if file.is_file()]
    else:
        found = []
    return sorted(found) or [path]


class Fold(Section):
    """One fold of a cross-validation."""

    index: PositiveInt = Field(description="which fold becomes test, from 1")
    of: PositiveInt = Field(ge=2, description="the number of folds")

    @model_validator(mode="after")
    def _inside(self) -> "Fold":
        if self.index > self.of:
            raise ValueError(f"fold {self.index} of {self.of}: folds are numbered from 1 to {self.of}")
        return self


class SplitFiles(Reader, abc.ABC):
    """A format whose parts are files: a name, a list of names, a pattern such as ``news-*.csv``, or a folder.

    Parts without files of their own may be drawn from the training files, in the proportions of the labels.
    """

    train: Files | None = Field(default=None, description="training file, list of files, pattern or folder (.gz too)")
    dev: Files | None = Field(default=None, description="files that pick the best checkpoint (null: the last is taken)")
    test: Files | None = Field(default=None, description="files for the final scores")
    dev_fraction: float = Field(
        default=0.0, ge=0, lt=1, description="share of `train` that becomes dev where `dev` names no file"
    )
    test_fraction: float = Field(
        default=0.0, ge=0, lt=1, description="share of `train` that becomes test where `test` names no file"
    )
    split_seed: int = Field(default=1, ge=0, lt=2**32, description="of the drawing of dev and test")
    fold: Fold | None = Field(default=None, description="one fold of a cross-validation over `train` becomes test")
    skip_bad_rows: bool = Field(default=False, description="pass over malformed rows and count them")

    _several = field_validator("train", "dev", "test", mode="before")(several)

    @model_validator(mode="after")
    def _one_source(self) -> "SplitFiles":
        for split in ("dev", "test"):
            share = getattr(self, f"{split}_fraction")
            if getattr(self, split) is not None and share:
                raise ValueError(
                    f"data.{split} names files and data.{split}_fraction = {share:g} draws from data.train; "
                    "leave one of them away"
                )
        if self.dev_fraction + self.test_fraction >= 1:
            share = self.dev_fraction + self.test_fraction
            raise ValueError(f"data.dev_fraction + data.test_fraction = {share:g} leaves nothing to train on")
        if self.fold is not None and (self.test is not None or self.test_fraction):
            raise ValueError("data.fold draws test from data.train; leave data.test and data.test_fraction away")
        return self

    def files(self, split: str) -> list[Path]:
        """Returns the files of a part; none if it is drawn, or does not exist."""
        named = getattr(self, split, None)
        return [path for name in ((named,) if isinstance(named, str) else named or ()) for path in self.expand(name)]

    def expand(self, name: str) -> list[Path]:
        """Returns the files that a name, a pattern or a folder stands for, sorted; the name itself if there are none.

        A file whose own name has brackets or stars in it is that file.
        """
        return expanded(name, self._is_mine)

    def _is_mine(self, path: Path) -> bool:
        suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
        return not path.name.startswith(".") and (not self.suffixes or suffix in self.suffixes)

    def is_drawn(self, split: str) -> bool:
        """Whether a part is drawn from the training files."""
        if split == "test" and self.fold is not None:
            return True
        return split in ("dev", "test") and not self.files(split) and bool(getattr(self, f"{split}_fraction"))

    def splits(self) -> list[str]:
        """Returns the parts that have files, or are drawn."""
        return [split for split in SPLITS if self.files(split) or self.is_drawn(split)]

    def sources(self, split: str) -> list[Path]:
        """Returns the files that a part is read from: its own, or the training files."""
        return self.files("train" if self.is_drawn(split) else split)

    def settings(self, split: str) -> dict[str, Any]:
        """Returns all that the examples of a part depend on beside the files."""
        drawn = {"dev_fraction", "test_fraction", "split_seed", "fold"}
        found = {k: v for k, v in super().settings(split).items() if k not in drawn}
        if self._drawing() and (split == "train" or self.is_drawn(split)):
            found["drawn"] = [split, self._drawing(), self.split_seed]
        return found

    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Any]:
        """Yields the examples of a part: all of its files, or its share of the training files."""
        if files is not None or not (split == "train" or self.is_drawn(split)) or not self._drawing():
            yield from self.read_files(self.sources(split) if files is None else files, notes or Notes())
            return
        train = self.sources("train")
        stamp = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in map(find_file, train))
        # A frozen section has a hash, which pyright does not see.
        chosen = set(_parts_of(self, stamp)[split].tolist())  # pyright: ignore[reportArgumentType]
        for number, example in enumerate(self.read_files(train, notes or Notes())):
            if number in chosen:
                yield example

    def draw(self) -> dict[str, np.ndarray]:
        """Draws the parts: which examples of the training files, by number, belong to each."""
        strata = [self.stratum(example) for example in self.read_files(self.sources("train"), Notes())]
        known = [name for name in strata if name is not None]
        return self.draw_groups(len(strata), known if len(known) == len(strata) else None)

    def draw_groups(self, count: int, strata: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Draws the parts of so many examples, or groups of examples that stay together; see ``draw_parts``."""
        shares = {name: getattr(self, f"{name}_fraction") for name in ("dev", "test") if not self.files(name)}
        return draw_parts(
            count,
            seed=self.split_seed,
            strata=strata,
            fold=None if self.fold is None else (self.fold.index - 1, self.fold.of),
            **shares,
        )

    def _drawing(self) -> dict[str, Any]:
        """Returns the settings by which parts are drawn; empty if none is."""
        return {
            split: self.fold.model_dump() if split == "test" and self.fold else getattr(self, f"{split}_fraction")
            for split in ("dev", "test")
            if self.is_drawn(split)
        }

    @abc.abstractmethod
    def read_files(self, files: Sequence[Path], notes: Notes) -> Iterator[Any]:
        """Yields the examples of some files, one after the other.

        Args:
            files: the files.
            notes: where skipped rows and the like are counted.

        Raises:
            InputError: for a missing or damaged file, with the bad lines.
        """

    def stratum(self, example: Any) -> str | None:
        """Returns the label whose proportions drawn parts keep; None if there is none."""
        return None

    def check(self) -> None:
        """Refuses missing files, before any work."""
        super().check()
        if self.fold is not None and not self.files("train"):
            raise InputError("data.fold needs data.train")


@functools.lru_cache(maxsize=8)
def _parts_of(reader: SplitFiles, stamp: tuple[tuple[str, int, int], ...]) -> dict[str, np.ndarray]:
    """The parts that a section draws, once for all of them, as long as the training files have the same stamp."""
    return reader.draw()
