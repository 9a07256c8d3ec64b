# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of text encoding."""

from pydantic import Field

from spago_jax.core.section import Texts
from spago_jax.tasks.pretrained.config import EncoderModelConfig


class EncodingModelConfig(EncoderModelConfig):
    """A transformer encoder whose pooled states are the vector of a text."""

    pooling: Texts | None = Field(
        default=None,
        description="cls, mean, max, ...; several are joined (default: as the model's folder says, or mean)",
    )
    normalize: bool | None = Field(
        default=None, description="scale vectors to length 1 (default: as the model's folder says, or yes)"
    )
    scale: float = Field(
        default=20.0, gt=0, description="of the cosines in the cross-entropy, where pairs have no scores"
    )
    full_score: float = Field(
        default=1.0, gt=0, description="the score of a pair that means the same, such as 5; its cosine is to be 1"
    )
