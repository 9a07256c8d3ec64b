# SPDX-License-Identifier: BSD-2-Clause
"""Vectors of the pieces of words as an embedding of tokens."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
import numpy as np
from pydantic import Field

from spago_jax.core import Array, Module, Rng, static, unflat
from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.formats.reader import refuse_missing
from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.byte_pair_index import BytePairIndexer
from spago_jax.embeddings.formats.bpemb import PieceVectors
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.errors import InputError
from spago_jax.nn.embedding import Embedding, FixedEmbedding


class BytePairs(Section):
    """The vectors of a word's first and last byte pairs (Heinzerling and Strube, 2018)."""

    kind: Literal["byte-pair"]
    vectors: str | None = Field(
        default=None,
        description="BPEmb's vectors, LANG.wiki.bpe.vsN.dD.w2v.bin, whose SentencePiece model lies beside it; null "
        "where the weights that training starts from have them",
    )
    size: PositiveInt = Field(default=50, description="length of a piece's vector; a word has two")
    trainable: bool = Field(default=False, description="train the vectors")

    def check(self, key: str) -> None:
        """Refuses a file of vectors that is not there."""
        if self.vectors is not None:
            refuse_missing({f"{key}.vectors": [Path(self.vectors)]})

    def _pieces(self, key: str) -> PieceVectors:
        if self.vectors is None:
            raise InputError(f"{key}.vectors is missing, and init.from names no model that has them")
        pieces = read_word_vectors(self.vectors, None).subwords
        if not isinstance(pieces, PieceVectors):
            raise InputError(f"{key}.vectors are not those of BPEmb, LANG.wiki.bpe.vsN.dD.w2v.bin", path=self.vectors)
        if pieces.pieces.shape[1] != self.size:
            raise InputError(
                f"{key}.size = {self.size}, but these vectors have {pieces.pieces.shape[1]} numbers each",
                path=self.vectors,
            )
        return pieces

    def fit(self, name: str, lexicon: Lexicon) -> BytePairIndexer:
        """The pieces of the model; nothing is learned from the forms."""
        return BytePairIndexer(name, self._pieces(f"model.embeddings.{name}").engine.serialized_model_proto())

    def init(self, key: Array, indexer: BytePairIndexer) -> "BytePairEmbedding":
        """A table of the right shape; ``from_data`` puts the vectors in."""
        table = Embedding.init(key, indexer.size, self.size, padding=0)
        return BytePairEmbedding(
            table=table if self.trainable else FixedEmbedding(weight=table.weight, padding=0), name=indexer.name
        )

    def from_data(self, module: "BytePairEmbedding", indexer: BytePairIndexer, lexicon: Lexicon) -> "BytePairEmbedding":
        """The module with the vectors of the file."""
        if self.vectors is None:
            return module
        pieces = self._pieces(f"model.embeddings.{indexer.name}").pieces
        return unflat(module, {"table.weight": jnp.asarray(np.concatenate([np.zeros((1, self.size)), pieces]))})


class BytePairEmbedding(Module):
    """``x_t = [E[first piece of token t]; E[last piece of token t]]``; zeros for a blank one."""

    table: Embedding | FixedEmbedding
    name: str = static(default="byte_pair")

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return 2 * self.table.weight.shape[1]

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's words, [..., time, features]."""
        found = self.table(batch[self.name])
        return found.reshape(*found.shape[:-2], -1)
