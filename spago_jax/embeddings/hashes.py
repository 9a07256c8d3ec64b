# SPDX-License-Identifier: BSD-2-Clause
"""Vectors that words share by their hashes, as an embedding of tokens."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from spago_jax.core import Array, Module, Rng, static
from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.hash_index import HashIndexer
from spago_jax.nn.embedding import Embedding


class Hashes(Section):
    """A vector per hash of a word: no vocabulary, and words that collide share theirs."""

    kind: Literal["hashes"]
    rows: PositiveInt = Field(default=1000, description="how many vectors words share")
    size: PositiveInt = Field(default=300, description="length of a vector")

    def check(self, key: str) -> None:
        """Nothing to check."""

    def fit(self, name: str, lexicon: Lexicon) -> HashIndexer:
        """The rows of words; nothing is learned from the forms."""
        return HashIndexer(name, self.rows)

    def init(self, key: Array, indexer: HashIndexer) -> "HashEmbedding":
        """A fresh table."""
        return HashEmbedding(table=Embedding.init(key, indexer.size, self.size, padding=0), name=indexer.name)

    def from_data(self, module: "HashEmbedding", indexer: HashIndexer, lexicon: Lexicon) -> "HashEmbedding":
        """The module itself: nothing about it is known from the data."""
        return module


class HashEmbedding(Module):
    """``x_t = E[md5(token t) mod rows + 1]`` (Weinberger et al., 2009; as Flair's ``HashEmbeddings``)."""

    table: Embedding
    name: str = static(default="hashes")

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return self.table.weight.shape[1]

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's words, [..., time, features]."""
        return self.table(batch[self.name])
