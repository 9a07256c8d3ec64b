# SPDX-License-Identifier: BSD-2-Clause
"""NextSentencePrediction: the predictor of ``next-sentence``."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core import Array
from spago_jax.core.section import Section
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.next_sentence.processor import PairProcessor
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, RowSettings, inputs, longest


class PairOptions(Section):
    """The second text."""

    second: str | None = Field(default=None, description="the text that may follow")


class NextSentencePrediction(PretrainedPredictor[RowSettings]):
    """Says how probably one text follows another (Devlin et al., 2019)."""

    name: ClassVar[str] = "next-sentence"
    head: ClassVar[str] = "next-sentence"
    Options = PairOptions

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: RowSettings) -> PairProcessor:
        """Pairs of texts."""
        return PairProcessor(pretrained.tokenizer, longest(pretrained, settings.max_length))

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``logits`` [batch, 2]."""
        return {"logits": model.logits(**inputs(model, batch))}

    def __call__(self, first: Any, second: str | None = None, **options: Any) -> Any:
        """The probability that the second text follows the first; of a list of pairs, that of each.

        Raises:
            InputError: for anything but two texts.
        """
        return super().__call__(first if second is None else (first, second), **options)
