# SPDX-License-Identifier: BSD-2-Clause
"""Reader: a file format, its keys in the `data` section of a config, and how its files become examples."""

import abc
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from spago_jax.core.section import Section
from spago_jax.data.examples import Tokens
from spago_jax.data.notes import Notes
from spago_jax.errors import InputError

SPLITS = ("train", "dev", "test")


class Reader(Section, abc.ABC):
    """A format of files. An instance is the `data` section of one experiment, independent of the model.

    Attributes:
        format: the name in configs.
        suffixes: the endings of file names in this format.
    """

    format: Any
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def files(self, split: str) -> list[Path]:
        """Returns the files of a part of the data; none if the part does not exist."""

    def sources(self, split: str) -> list[Path]:
        """Returns the files that a part is read from, also if it is drawn from those of another part."""
        return self.files(split)

    def expand(self, name: str) -> list[Path]:
        """Returns the files that a name stands for."""
        return [Path(name)]

    def is_drawn(self, split: str) -> bool:
        """Whether a part is drawn from the training files."""
        return False

    @abc.abstractmethod
    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Any]:
        """Yields the examples of a part of the data, one after the other.

        Args:
            split: train, dev or test; with any other name the files are read whole.
            files: other files in this format, instead of the part's own.
            seed: the seed for drawing, if parts are drawn from one set.
            notes: where skipped rows and the like are counted.

        Raises:
            InputError: for a missing or damaged file; names the line.
        """

    def splits(self) -> list[str]:
        """Returns the parts that the section names, by files or as a share of another part."""
        return [split for split in SPLITS if self.files(split) or getattr(self, f"{split}_fraction", 0)]

    def tokenizer(self) -> dict[str, Any]:
        """Returns the settings of the tokenizer for such texts, for models that read tokens."""
        return {"kind": "words"}

    def tag_scheme(self) -> str:
        """Returns the scheme of the tags; plain where a tag is not a part of a span."""
        return "plain"

    def settings(self, split: str) -> dict[str, Any]:
        """Returns all that the examples of a part depend on beside the files, as plain values."""
        return {k: v for k, v in self.model_dump(mode="json").items() if k not in SPLITS}

    def check(self) -> None:
        """Refuses missing files, before any work.

        Raises:
            InputError: for the first missing file; names its key.
        """
        for split in SPLITS:
            refuse_missing({f"data.{split}": self.files(split)})


def refuse_missing(named: Mapping[str, Iterable[Path]]) -> None:
    """Raises InputError for the first of these files that does not exist, and names its key."""
    for key, paths in named.items():
        for path in paths:
            if os.path.isdir(path):
                raise InputError(f"{key}: is a folder, expected a file", path=path)
            if not os.path.exists(path):
                raise InputError(f"{key}: no such file{_hint(path)}", path=path)


def _hint(path: Path) -> str:
    shared = "shared" in path.parts or "SPAGO_DATA" in str(path)
    return " (set the environment variable SPAGO_DATA to the folder of the corpora)" if shared else ""


def as_files(named: str | Sequence[str] | None) -> list[Path]:
    """Returns the files of a key that holds one name, several, or none."""
    return [Path(path) for path in ([named] if isinstance(named, str) else named or ())]


def from_file(path: Path, sentences: Iterable[Tokens]) -> Iterator[Tokens]:
    """The sentences with the file that they come from."""
    for sentence in sentences:
        sentence.path = path
        yield sentence
