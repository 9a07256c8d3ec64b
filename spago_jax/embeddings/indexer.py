# SPDX-License-Identifier: BSD-2-Clause
"""The host half of a token embedding: from the forms of a text to the arrays that its device half reads."""

import abc
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.registry import Registry

INDEXERS = Registry(
    "embedding",
    {
        "words": "spago_jax.embeddings.word_index:WordIndexer",
        "characters": "spago_jax.embeddings.character_index:CharacterIndexer",
        "shapes": "spago_jax.embeddings.shape_index:ShapeIndexer",
    },
)


class TokenIndexer(abc.ABC):
    """Looks every form of a lexicon up once, and picks the rows of a batch. Needs NumPy alone.

    Attributes:
        kind: its name in configs.
        name: the name of its arrays in a batch.
    """

    kind: ClassVar[str]
    name: str

    @abc.abstractmethod
    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The arrays of each form, one row per form and a last row for padding, by their names in a batch."""

    @abc.abstractmethod
    def specs(self) -> dict[str, str]:
        """What the arrays of a batch look like: ``{"words": "i32[batch, time]"}``."""

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The number of ids, which is the number of rows of the table of vectors."""

    @abc.abstractmethod
    def save(self, folder: Path) -> None:
        """Writes its vocabulary into an existing folder, under its name."""

    @classmethod
    @abc.abstractmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote.

        Raises:
            InputError: where it is missing or damaged.
        """
