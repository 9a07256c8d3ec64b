# SPDX-License-Identifier: BSD-2-Clause
"""The host half of a token embedding: from the forms of a text to the arrays that its device half reads."""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.neighbors import Neighbors
from spago_jax.embeddings.sentence_vectors import SentenceVectors
from spago_jax.registry import Registry

INDEXERS = Registry(
    "embedding",
    {
        "words": "spago_jax.embeddings.word_index:WordIndexer",
        "contextual-strings": "spago_jax.embeddings.contextual_index:ContextualIndexer",
        "characters": "spago_jax.embeddings.character_index:CharacterIndexer",
        "byte-pair": "spago_jax.embeddings.byte_pair_index:BytePairIndexer",
        "pooled-strings": "spago_jax.embeddings.pooled_index:PooledIndexer",
        "hashes": "spago_jax.embeddings.hash_index:HashIndexer",
        "stored-words": "spago_jax.embeddings.store_index:StoreIndexer",
        "shapes": "spago_jax.embeddings.shape_index:ShapeIndexer",
        "transformer": "spago_jax.embeddings.transformer_index:TransformerIndexer",
    },
)


class TokenIndexer(abc.ABC):
    """Looks every form of a lexicon up once, and picks the rows of a batch. Needs NumPy alone.

    Attributes:
        kind: its name in configs.
        name: the name of its arrays in a batch.
        longest: the most positions that it reads; None for any number.
        context: how many words of the sentences before and after a sentence it reads too.
    """

    kind: ClassVar[str]
    name: str
    longest: int | None = None
    context: int = 0

    @property
    def kept_bytes(self) -> int:
        """How many bytes of vectors ``save`` writes beside the vocabulary."""
        return 0

    def extended(self, lexicon: Lexicon, *, min_count: int = 1) -> "TokenIndexer":
        """Returns an indexer that knows the forms of more data too; every id stays what it was."""
        return self

    @abc.abstractmethod
    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The arrays of each form, one row per form and a last row for padding, by their names in a batch."""

    def arrays(self, tables: Mapping[str, np.ndarray], forms: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """The arrays of a batch.

        Args:
            tables: those of the lexicon, of all embeddings.
            forms: the forms of the batch, int [..., length]; -1 beyond the end of a sentence.
            length: the length that sentences are padded to.
        """
        return {name: tables[name][forms] for name in self.specs()}

    def positions(self, tables: Mapping[str, np.ndarray], forms: RaggedArray) -> np.ndarray:
        """How many positions each sentence takes, int [n]: its tokens, unless it reads them in pieces."""
        return forms.lengths

    def arrays_among(
        self,
        tables: Mapping[str, np.ndarray],
        forms: np.ndarray,
        length: int,
        neighbors: Neighbors,
        indices: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """The arrays of a batch of sentences that have neighbors; ``indices`` are their places among them."""
        return self.arrays(tables, forms, length)

    def positions_among(self, tables: Mapping[str, np.ndarray], neighbors: Neighbors) -> np.ndarray:
        """How many positions each sentence takes with what is read of its neighbors, int [n]."""
        return self.positions(tables, neighbors.forms)

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


def merged_tables(indexers: Sequence[TokenIndexer], lexicon: Lexicon) -> dict[str, np.ndarray]:
    """The tables of several embeddings together."""
    return {name: table for indexer in indexers for name, table in indexer.tables(lexicon).items()}


def merged_arrays(
    indexers: Sequence[TokenIndexer],
    tables: Mapping[str, np.ndarray],
    forms: np.ndarray,
    length: int,
    among: tuple[Neighbors, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """The arrays of a batch of several embeddings together; ``among`` are the sentences' neighbors and places."""
    found: dict[str, np.ndarray] = {}
    for indexer in indexers:
        if among is None:
            found |= indexer.arrays(tables, forms, length)
        else:
            found |= indexer.arrays_among(tables, forms, length, *among)
    return found


def with_vectors(
    arrays: dict[str, np.ndarray], vectors: Mapping[str, SentenceVectors], indices: np.ndarray, length: int
) -> dict[str, np.ndarray]:
    """The arrays of a batch with vectors that were computed before, ``NAME_vectors``, in the place of what they read.

    Args:
        arrays: those of ``merged_arrays``.
        vectors: by the names of the embeddings.
        indices: the rows of the batch.
        length: the length that sentences are padded to.
    """
    for name, found in vectors.items():
        arrays = {key: array for key, array in arrays.items() if key not in found.replaces}
        arrays[f"{name}_vectors"] = found.gather(indices, length)
    return arrays


def most_positions(
    indexers: Sequence[TokenIndexer],
    tables: Mapping[str, np.ndarray],
    forms: RaggedArray,
    neighbors: Neighbors | None = None,
) -> np.ndarray:
    """How many positions each sentence takes in the embedding that needs most, int [n]."""
    if neighbors is None:
        return np.max([forms.lengths, *(indexer.positions(tables, forms) for indexer in indexers)], axis=0)
    return np.max([forms.lengths, *(indexer.positions_among(tables, neighbors) for indexer in indexers)], axis=0)


def neighbors_of(
    indexers: Sequence[TokenIndexer], forms: RaggedArray, owners: np.ndarray | None = None
) -> Neighbors | None:
    """The neighbors of sentences, by the texts that they are of, where an embedding reads them."""
    return Neighbors.of(forms, owners) if any(indexer.context for indexer in indexers) else None


def longest_of(indexers: Sequence[TokenIndexer], tokens: int) -> int:
    """The most positions of a row of so many tokens at most."""
    return max([tokens, *(indexer.longest for indexer in indexers if indexer.longest is not None)])


def merged_specs(indexers: Sequence[TokenIndexer]) -> dict[str, str]:
    """The specs of several embeddings together, with the ``lengths`` of the rows."""
    return {name: spec for indexer in indexers for name, spec in indexer.specs().items()} | {"lengths": "i32[batch]"}


def indexer_settings(indexers: Sequence[TokenIndexer]) -> list[dict[str, str]]:
    """The settings by which ``load_indexers`` finds them again, as plain JSON."""
    return [{"kind": indexer.kind, "name": indexer.name} for indexer in indexers]


def load_indexers(settings: Sequence[Mapping[str, str]], folder: Path) -> list[TokenIndexer]:
    """Reads the indexers that were saved into a folder.

    Raises:
        InputError: for an unknown kind, or a vocabulary that is missing or damaged.
    """
    return [INDEXERS.find(entry["kind"]).load(folder, entry["name"]) for entry in settings]
