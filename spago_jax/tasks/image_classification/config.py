# SPDX-License-Identifier: BSD-2-Clause
"""The `model` section of image classification."""

from pydantic import Field

from spago_jax.core.section import PositiveInt, Section
from spago_jax.models.flows import FlowEncoder
from spago_jax.tasks.class_options import WEIGHTS, ClassWeights


class ImageClassifierConfig(Section):
    """A multi-layer perceptron over the pixels, or a flow."""

    hidden: tuple[PositiveInt, ...] = Field(default=(256,), description="units of each hidden layer")
    activation: str = Field(default="relu", description="between the layers")
    encoder: FlowEncoder | None = Field(default=None, description="a flow that takes the place of the hidden layers")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the hidden units")
    input_dropout: float = Field(default=0.0, ge=0, lt=1, description="of the pixels")
    shift: int = Field(default=0, ge=0, description="move each training image by up to so many pixels either way")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="share of the target spread over all classes")
    class_weights: ClassWeights = Field(default=None, description=WEIGHTS)
