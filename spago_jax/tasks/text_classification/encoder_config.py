# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of a classifier that is an encoder with a head."""

from typing import Literal

from pydantic import Field

from spago_jax.tasks.class_options import WEIGHTS, ClassWeights
from spago_jax.tasks.pretrained.config import EncoderModelConfig


class EncoderClassifierConfig(EncoderModelConfig):
    """A transformer encoder with a classification head, which reads pairs of texts together."""

    problem: Literal["single-label", "multi-label", "regression"] = Field(
        default="single-label", description="what is to be found: one class, any number of labels, or a number"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
    class_weights: ClassWeights = Field(default=None, description=WEIGHTS)
