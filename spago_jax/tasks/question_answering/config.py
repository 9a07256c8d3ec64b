# SPDX-License-Identifier: BSD-2-Clause
"""The `model` and `train` sections of question answering."""

from pydantic import Field

from spago_jax.core.section import PositiveInt
from spago_jax.tasks.pretrained.config import EncoderModelConfig
from spago_jax.train.schema import TextTrainConfig


class QuestionModelConfig(EncoderModelConfig):
    """A transformer encoder that points at the first and the last piece of an answer."""

    stride: int = Field(default=128, ge=0, description="pieces of the passage that the next window repeats")
    max_answer_length: PositiveInt = Field(default=20, description="the most pieces of an answer that is given")
    no_answer: bool | None = Field(
        default=None,
        description='let "the passage does not say" compete (default: where the training data have such questions)',
    )


class QuestionTrainConfig(TextTrainConfig):
    """Training of question answering, window by window."""

    max_length: PositiveInt = Field(
        default=384, description="pieces of a window: the question, and what it shows of the passage"
    )
