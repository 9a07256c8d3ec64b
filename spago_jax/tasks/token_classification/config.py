# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of token classification."""

from typing import Literal

from pydantic import Field

from spago_jax.core.section import PositiveInt, Section
from spago_jax.embeddings.stacked import EmbeddingConfig
from spago_jax.models.encoders import TokenEncoderConfig


class TaggingOptions(Section):
    """How answers are given."""

    threshold: float = Field(default=0.0, ge=0, le=1, description="less probable spans are left out")
    spans: Literal["scheme", "flair"] | None = Field(
        default=None,
        description="how spans are read off the tags: as the scheme says, or by Flair's rules; by default as suits the "
        "model",
    )
    score: Literal["probability", "flair"] = Field(
        default="probability",
        description="the score of a token: how probable its tag is, or what Flair prints (needs model.distributions)",
    )
    distributions: bool = Field(
        default=False, description="also give the score of every tag of each token (needs model.distributions)"
    )


class TaggerConfig(Section):
    """Embeddings, an encoder over them, and tags (Huang et al., 2015; Lample et al., 2016; Ma and Hovy, 2016)."""

    embeddings: tuple[EmbeddingConfig, ...] = Field(
        min_length=1, description="how tokens are read: vectors that are stacked in this order"
    )
    projection: PositiveInt | None = Field(
        default=None, description="size of a linear layer between the embeddings and the encoder; null for none"
    )
    encoder: TokenEncoderConfig | None = Field(default=None, description="context; null for none")
    output: Literal["crf", "softmax"] = Field(default="crf", description="joint or single decisions")
    tokenizer: str | None = Field(
        default=None, description="how plain text is cut into tokens (default: as suits the format of the data)"
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="of the inputs and outputs of the encoder")
    variational: bool = Field(default=True, description="drop the same features at every position")
    word_dropout: float = Field(default=0.05, ge=0, lt=1, description="chance that a whole token is dropped")
    scheme: Literal["IOB2", "BIOES", "same"] = Field(default="BIOES", description="how spans are written for the model")
    recall_bias: float = Field(
        default=0.0,
        ge=0,
        description="cost, in nats per token, of reading an entity as O while training: finds more, less precisely",
    )
    ban_impossible: bool = Field(default=True, description="a CRF never emits what the scheme does not allow")
    distributions: bool = Field(
        default=False, description="answers can carry the score of every tag of each token, and Flair's scores"
    )
    score_stop: bool = Field(
        default=False, description="Flair's scores count the end of a sentence as one more tag, as its CRF does"
    )
