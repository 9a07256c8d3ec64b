# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of tasks whose model is an encoder with a head of its own."""

import abc
from typing import Any, ClassVar

from spago_jax.core import Array, Rng
from spago_jax.interop.huggingface.sentence import SentencePipeline
from spago_jax.models.encoder import EncoderModel
from spago_jax.tasks.pretrained.predictor import inputs
from spago_jax.train.task import Batch, Objective


class EncoderObjective(Objective[EncoderModel], abc.ABC):
    """Makes the model, and reads its head.

    Attributes:
        head: the name of the head.
        encoder: the config of the encoder.
        outputs: how many labels a classifier has.
    """

    head: ClassVar[str]
    encoder: Any
    outputs: int = 2

    def init(self, key: Array) -> EncoderModel:
        """A fresh model; ``init.from`` puts weights in."""
        return EncoderModel.init(key, self.encoder, head=self.head, labels=self.outputs)

    def plain(self, model: EncoderModel) -> EncoderModel:
        """Returns the model as a folder in Hugging Face's layout holds it: without what only training needs."""
        return model

    def pipeline(self, model: EncoderModel) -> SentencePipeline | None:
        """Returns what such a folder says of sentence vectors; None where it says nothing."""
        return None

    def head_logits(self, model: EncoderModel, batch: Batch, rng: Rng | None = None, **more: Any) -> Any:
        """What the head says of a batch of ``ids``, ``types`` and ``lengths``."""
        return model.logits(**inputs(model, batch), rng=rng, **more)
