# SPDX-License-Identifier: BSD-2-Clause
"""The language reference that comes with every Python, as a text."""

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from spago_jax.data.cache import cached
from spago_jax.data.examples import Text
from spago_jax.data.formats.plain_text import read_text
from spago_jax.data.formats.reader import Reader
from spago_jax.data.notes import Notes


class PythonDocs(Reader):
    """Python's own language reference, as its `help()` knows it (the module `pydoc_data.topics`)."""

    format: Literal["python-docs"]
    dev_fraction: float = Field(default=0.1, gt=0, lt=1, description="share of the text that becomes dev")
    test_fraction: float = Field(default=0.0, ge=0, lt=1, description="share of the text, after dev, that becomes test")

    def files(self, split: str) -> list[Path]:
        """Returns the text, written once into the cache; dev and test are cut off it."""
        return [_topics()] if split == "train" else []

    def read(
        self, split: str, files: Sequence[Path] | None = None, *, seed: int = 0, notes: Notes | None = None
    ) -> Iterator[Text]:
        """Yields the text in pieces."""
        for path in self.files(split) if files is None else files:
            for piece in read_text(path):
                yield Text(piece)


def _topics() -> Path:
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    text = "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"

    def build(folder: Path) -> None:
        (folder / "topics.txt").write_text(text, encoding="utf-8")

    digest = hashlib.sha256(text.encode()).hexdigest()
    return cached("python-docs", [], {"text": digest}, build) / "topics.txt"
