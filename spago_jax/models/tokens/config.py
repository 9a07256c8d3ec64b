# SPDX-License-Identifier: BSD-2-Clause
"""The part of a `model` section that says how tokens are read."""

from typing import Literal

from pydantic import Field

from spago_jax.train.schema import PositiveInt, Section


class WordsConfig(Section):
    """Word vectors."""

    size: PositiveInt = Field(default=100, description="length of a word vector (that of the file, where there is one)")
    vectors: str | None = Field(default=None, description="file of word vectors, GloVe or word2vec format")
    lowercase: bool = Field(default=False, description="look words up in lower case")
    min_count: PositiveInt = Field(default=1, description="rarer training words without a given vector are unknown")
    max_words: PositiveInt = Field(default=200_000, description="at most this many words")
    trainable: bool = Field(default=True, description="train the vectors, also given ones")
    unknown_rate: float = Field(
        default=0.25, ge=0, description="a in a / (a + count), the chance that a training word is read as unknown"
    )


class CharactersConfig(Section):
    """A vector of each word's spelling."""

    encoder: Literal["cnn", "lstm", "none"] = Field(default="cnn", description="how characters are read")
    size: PositiveInt = Field(default=30, description="length of a character vector")
    filters: PositiveInt = Field(default=50, description="filters of each width, or LSTM units a direction")
    widths: tuple[PositiveInt, ...] = Field(default=(3,), description="widths of the filters")
    max_length: PositiveInt = Field(default=20, description="characters beyond this are cut from the middle of a word")
    min_count: PositiveInt = Field(default=1, description="rarer characters are unknown")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the character vectors")


class TokensConfig(Section):
    """How tokens are read."""

    words: WordsConfig = Field(default_factory=WordsConfig, description="word vectors")
    characters: CharactersConfig = Field(default_factory=CharactersConfig, description="spelling")
    shape_size: int = Field(default=0, ge=0, description="length of a vector of the word's shape (Xxx, dd); 0 for none")
