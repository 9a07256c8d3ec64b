# SPDX-License-Identifier: BSD-2-Clause
"""Plain text of any size: each part one file, several, a pattern or a folder, one after the other."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from spago_jax.data.formats.plain_text import PlainText
from spago_jax.data.formats.split_files import Files, expanded, several

__all__ = ["TextFiles"]


class TextFiles(PlainText):
    """Plain text, cut into parts, or with files of its own for each part; read in a stream."""

    format: Literal["text"]
    train: Files = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        description="text file, list of files, pattern or folder (.gz too), read one after the other; the end is cut "
        "off for dev and test where these have no file"
    )
    dev: Files | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, description="text files that pick the best checkpoint"
    )
    test: Files | None = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=None, description="text files for the final scores"
    )

    _several = field_validator("train", "dev", "test", mode="before")(several)

    def files(self, split: str) -> list[Path]:
        """Returns the files of a part, sorted within a pattern or a folder; none for one that is cut off."""
        named = getattr(self, split)
        return [path for name in ((named,) if isinstance(named, str) else named or ()) for path in self.expand(name)]

    def expand(self, name: str) -> list[Path]:
        """Returns the files that a name, a pattern or a folder stands for."""
        return expanded(name, lambda path: not path.name.startswith("."))
