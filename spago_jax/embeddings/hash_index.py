# SPDX-License-Identifier: BSD-2-Clause
"""The rows of hashed words."""

import hashlib
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.saved_settings import load_settings, save_settings
from spago_jax.errors import InputError

_MOST = 1 << 30


class HashIndexer(TokenIndexer):
    """One row per token: the MD5 of its UTF-8 as a number, modulo the number of rows, and 1 more; row 0 is padding.

    Args:
        name: of its array in a batch.
        rows: how many rows words share.
    """

    kind: ClassVar[str] = "hashes"

    def __init__(self, name: str, rows: int):
        self.name, self.rows = name, rows

    @property
    def size(self) -> int:
        """The number of rows, that of padding among them."""
        return self.rows + 1

    def id(self, form: str) -> int:
        """The row of a form.

        >>> HashIndexer("hashes", 1000).id("Paris")
        651
        """
        digest = hashlib.md5(form.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        return int(digest, 16) % self.rows + 1

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The row of each form, int32 [forms + 1]."""
        return {self.name: np.array([self.id(form) for form in lexicon] + [0], np.int32)}

    def specs(self) -> dict[str, str]:
        """One row per token."""
        return {self.name: "i32[batch, time]"}

    def save(self, folder: Path) -> None:
        """Writes ``NAME.settings.json``."""
        save_settings(folder, self.name, rows=self.rows)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        settings = load_settings(folder, name, rows=int)
        if not 1 <= settings["rows"] <= _MOST:
            raise InputError(
                f"rows = {settings['rows']}, expected 1 to {_MOST:,}", path=folder / f"{name}.settings.json"
            )
        return cls(name, **settings)
