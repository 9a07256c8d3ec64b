# SPDX-License-Identifier: BSD-2-Clause
"""The source of Python's standard library, which every Python has, as a tagged corpus."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from spago_jax.core.section import DataPath, PositiveInt
from spago_jax.data.examples import Tokens
from spago_jax.data.formats.reader import SPLITS, Reader
from spago_jax.data.notes import Notes
from spago_jax.data.python.sources import python_sources, read_sources, split_modules
from spago_jax.errors import InputError


class PythonSource(Reader):
    """The source of Python's own standard library, each token tagged with its role in the syntax tree."""

    format: Literal["python-source"]
    folder: DataPath | None = Field(default=None, description="a folder of .py files; default: the standard library")
    train_tokens: PositiveInt | None = Field(default=None, description="use at most this many tokens for training")
    eval_tokens: PositiveInt | None = Field(default=None, description="use at most this many tokens of dev and of test")
    window: PositiveInt = Field(default=64, description="tokens of whole lines that are read together")

    suffixes: ClassVar[tuple[str, ...]] = (".py",)

    def splits(self) -> list[str]:
        """Returns all three parts; a hash of a module's name decides its part."""
        return list(SPLITS)

    def files(self, split: str) -> list[Path]:
        """Returns the modules of a part of the data."""
        root = None if self.folder is None else Path(self.folder)
        found = list(getattr(split_modules(python_sources(root), root=root), split))
        if not found:
            raise InputError(f"too few Python modules: none falls to the {split} part", path=self.folder)
        return found

    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Tokens]:
        """Yields the windows of a part's modules, each with the line in which it begins."""
        chosen = self.files(split) if files is None else files
        for unit in read_sources(chosen, max_tokens=self.window, total_tokens=self._limit(split)):
            yield Tokens(list(unit.tokens), list(unit.tags or ()), unit.line)

    def tokenizer(self) -> dict[str, Any]:
        """Returns the settings of Python's own tokenizer, with the window of the training data."""
        return {"kind": "python", "window": self.window}

    def settings(self, split: str) -> dict[str, Any]:
        """Returns the size of the windows and of the part."""
        return {"window": self.window, "limit": self._limit(split)}

    def check(self) -> None:
        """Refuses a missing folder."""
        if self.folder is not None and not os.path.isdir(self.folder):
            raise InputError("data.folder is not a folder", path=self.folder)

    def _limit(self, split: str) -> int | None:
        return {"train": self.train_tokens, "dev": self.eval_tokens, "test": self.eval_tokens}.get(split)
