# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of text classification."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from spago_jax.core.section import PositiveInt, Section
from spago_jax.embeddings.stacked import EmbeddingConfig
from spago_jax.models.encoders import BiRNNEncoder
from spago_jax.models.flows import FlowEncoder
from spago_jax.models.text_classifier import Pooling
from spago_jax.tasks.class_options import WEIGHTS, ClassWeights


class CNNEncoder(Section):
    """Convolutions with the maximum over time (Kim, 2014)."""

    kind: Literal["cnn"]
    filters: PositiveInt = Field(default=200, description="filters of each width")
    widths: tuple[PositiveInt, ...] = Field(default=(2, 3, 4), description="widths of the filters, in tokens")


class NgramsConfig(Section):
    """A hashed bag of n-grams beside the encoder (Joulin et al., 2017)."""

    rows: PositiveInt = Field(default=20_000, description="rows of the hashed table whose vectors are averaged")
    order: PositiveInt = Field(default=2, description="longest word n-gram")
    characters: bool = Field(default=False, description="also hash character n-grams of 3 to 5")
    size: PositiveInt = Field(default=100, description="length of an n-gram vector")


class TextClassifierConfig(Section):
    """A text classifier: embeddings, an encoder over them, pooling, a linear layer."""

    problem: Literal["single-label", "multi-label", "regression"] = Field(
        default="single-label", description="what is to be found: one class, any number of labels, or a number"
    )

    embeddings: tuple[EmbeddingConfig, ...] = Field(
        min_length=1, description="how tokens are read: vectors that are stacked in this order"
    )
    encoder: Annotated[CNNEncoder | BiRNNEncoder | FlowEncoder, Field(discriminator="kind")] | None = Field(
        default=None, description="features over the tokens, pooled; null for the mean of the token vectors"
    )
    projection: PositiveInt | None = Field(
        default=None, description="size of a linear layer between the embeddings and the encoder; null for none"
    )
    pooling: Pooling | None = Field(
        default=None,
        description="how the tokens become one vector: mean, max, min, mean-max, the last one, or both ends (the first "
        "and the last). By default mean, and mean-max of an encoder's outputs",
    )
    ngrams: NgramsConfig | None = Field(default=None, description="n-grams of words and characters")
    tokenizer: str = Field(default="words", description="how a text is cut into tokens")
    lowercase: bool = Field(default=True, description="lower-case the texts")
    dropout: float = Field(default=0.5, ge=0, lt=1, description="of the token vectors and of the pooled features")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
    class_weights: ClassWeights = Field(default=None, description=WEIGHTS)

    @model_validator(mode="after")
    def _one_pooling(self) -> "TextClassifierConfig":
        if self.pooling is not None and self.encoder is not None and self.encoder.kind == "cnn":
            raise ValueError(f"pooling: {self.pooling}, but a cnn takes the maximum over time of each filter")
        return self
