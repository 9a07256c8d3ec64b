# SPDX-License-Identifier: BSD-2-Clause
"""The spelling of a word as an embedding of tokens."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.character_index import CharacterIndexer
from spago_jax.nn.characters import CharacterCNN, CharacterLSTM


class Characters(Section):
    """A vector of each word's spelling."""

    kind: Literal["characters"]
    encoder: Literal["cnn", "lstm", "lstm-last"] = Field(
        default="cnn",
        description="how characters are read; lstm-last takes the outputs at a word's last character, as Flair does",
    )
    size: PositiveInt = Field(default=30, description="length of a character vector")
    filters: PositiveInt = Field(default=50, description="filters of each width, or LSTM units per direction")
    widths: tuple[PositiveInt, ...] = Field(default=(3,), description="widths of the filters")
    max_length: PositiveInt = Field(default=20, description="characters beyond this are cut from the middle of a word")
    min_count: PositiveInt = Field(default=1, description="rarer characters are unknown")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the character vectors")

    def check(self, key: str) -> None:
        """Nothing to check."""

    def fit(self, name: str, lexicon: Lexicon) -> CharacterIndexer:
        """The ids of the characters of the training data."""
        return CharacterIndexer.fit(name, lexicon, max_length=self.max_length, min_count=self.min_count)

    def init(self, key: Array, indexer: CharacterIndexer) -> "CharacterEmbedding":
        """A fresh encoder of characters."""
        if self.encoder == "cnn":
            encoder: CharacterCNN | CharacterLSTM = CharacterCNN.init(
                key,
                indexer.size,
                embedding_features=self.size,
                filters=self.filters,
                widths=self.widths,
                dropout=self.dropout,
            )
        else:
            encoder = CharacterLSTM.init(
                key,
                indexer.size,
                embedding_features=self.size,
                hidden=self.filters,
                dropout=self.dropout,
                last=self.encoder == "lstm-last",
            )
        return CharacterEmbedding(encoder=encoder, name=indexer.name)

    def from_data(
        self, module: "CharacterEmbedding", indexer: CharacterIndexer, lexicon: Lexicon
    ) -> "CharacterEmbedding":
        """The module itself: nothing about it is known from the data."""
        return module


class CharacterEmbedding(Module):
    """``x_t = CNN(characters of token t)``, or a BiLSTM over them (Ma and Hovy, 2016; Lample et al., 2016)."""

    encoder: CharacterCNN | CharacterLSTM
    name: str = static(default="characters")

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return self.encoder.out_features

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of the spelling of a batch's words, [..., time, features]."""
        return self.encoder(batch[self.name], batch[f"{self.name}_lengths"], rng=child(rng, "encoder"))
