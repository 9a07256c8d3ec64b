# SPDX-License-Identifier: BSD-2-Clause
"""PretrainedTextClassification: the predictor of ``text-classification`` by a folder in Hugging Face's layout."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core import Array
from spago_jax.core.section import PositiveInt, Section
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.pretrained.classifier import Activation, SequenceProcessor
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, RowSettings, inputs, longest


class SequenceOptions(Section):
    """Which classes are given, with which scores."""

    pair: str | None = Field(default=None, description="the second text of a pair")
    top_k: PositiveInt | None = Field(default=None, description="how many classes are listed (default: all)")
    activation: Activation | None = Field(default=None, description="scores (default: as the model's problem wants)")


class PretrainedTextClassification(PretrainedPredictor[RowSettings]):
    """Classifies texts, or pairs of texts."""

    name: ClassVar[str] = "text-classification"
    head: ClassVar[str] = "sequence-classification"
    Options = SequenceOptions

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: RowSettings) -> SequenceProcessor:
        """The classes and the kind of problem are those of the config."""
        size = longest(pretrained, settings.max_length)
        return SequenceProcessor(pretrained.tokenizer, size, pretrained.labels, pretrained.config.problem)

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``logits`` [batch, classes]."""
        return {"logits": model.logits(**inputs(model, batch))}

    def __call__(self, text: Any, pair: Any = None, **options: Any) -> Any:
        """The classes of a text, or of each text of a list, the best first.

        Args:
            text: one text, a pair of texts (a tuple), or a list of either.
            pair: the second text of one pair, or a list of as many.
            options: ``top_k`` (all), ``activation`` (``softmax``, ``sigmoid`` or ``none``).
        """
        if isinstance(text, list) and isinstance(pair, list):
            text = list(zip(text, pair, strict=True))
        elif pair is not None:
            text = (text, pair)
        return super().__call__(text, **options)
