# SPDX-License-Identifier: BSD-2-Clause
"""The shape of a word as an embedding of tokens."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from spago_jax.core import Array, Module, Rng, static
from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.shape_index import ShapeIndexer
from spago_jax.nn.embedding import Embedding


class Shapes(Section):
    """A vector of each word's shape: capitals, digits, marks (Xxx, dd)."""

    kind: Literal["shapes"]
    size: PositiveInt = Field(default=10, description="length of a vector")

    def check(self, key: str) -> None:
        """Nothing to check."""

    def fit(self, name: str, lexicon: Lexicon) -> ShapeIndexer:
        """The ids of the shapes of the training data."""
        return ShapeIndexer.fit(name, lexicon)

    def init(self, key: Array, indexer: ShapeIndexer) -> "ShapeEmbedding":
        """A fresh table."""
        return ShapeEmbedding(table=Embedding.init(key, indexer.size, self.size, padding=0), name=indexer.name)

    def from_data(self, module: "ShapeEmbedding", indexer: ShapeIndexer, lexicon: Lexicon) -> "ShapeEmbedding":
        """The module itself: nothing about it is known from the data."""
        return module


class ShapeEmbedding(Module):
    """``x_t = E[shape of token t]``."""

    table: Embedding
    name: str = static(default="shapes")

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return self.table.weight.shape[1]

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of the shapes of a batch's words, [..., time, features]."""
        return self.table(batch[self.name])
