# SPDX-License-Identifier: BSD-2-Clause
"""ReplacedTokenDetection: the predictor of ``replaced-token-detection``."""

from collections.abc import Mapping
from typing import ClassVar

from spago_jax.core import Array
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, WindowSettings, inputs, longest
from spago_jax.tasks.replaced_token_detection.processor import DetectionProcessor


class ReplacedTokenDetection(PretrainedPredictor[WindowSettings]):
    """Finds the words of a text that do not belong: ``p = sigmoid(logit)`` of each piece.

    spaGO calls this "discriminate". Source: Clark et al. (2020), "ELECTRA".
    """

    name: ClassVar[str] = "replaced-token-detection"
    head: ClassVar[str] = "replaced-tokens"
    Settings = WindowSettings

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: WindowSettings) -> DetectionProcessor:
        """Long texts are read in windows."""
        return DetectionProcessor(pretrained.tokenizer, longest(pretrained, settings.max_length), settings.stride)

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``logits`` [batch, time]."""
        return {"logits": model.logits(**inputs(model, batch))}
