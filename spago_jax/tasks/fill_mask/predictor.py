# SPDX-License-Identifier: BSD-2-Clause
"""FillMask: the predictor of ``fill-mask``."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core import Array
from spago_jax.core.section import PositiveInt, Section, Texts
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.fill_mask.processor import FillMaskProcessor
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, RowSettings, inputs, longest


class FillMaskOptions(Section):
    """How masks are filled."""

    top_k: PositiveInt = Field(default=5, description="how many words are listed for each mask")
    targets: Texts | None = Field(default=None, description="the words to choose from (default: the vocabulary)")


class FillMask(PretrainedPredictor[RowSettings]):
    """Finds the words that may stand at the masks of a text."""

    name: ClassVar[str] = "fill-mask"
    head: ClassVar[str] = "masked-words"
    Options = FillMaskOptions

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: RowSettings) -> FillMaskProcessor:
        """Texts over the limit are refused: their masks could be in the part that is cut."""
        return FillMaskProcessor(pretrained.tokenizer, longest(pretrained, settings.max_length))

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``logits`` [batch, 1, vocabulary] at the place that each row asks for."""
        found = model.logits(**inputs(model, batch), at=batch["at"])
        return {"logits": found}

    def __call__(
        self, text: str | list[str], top_k: int = 5, targets: Sequence[str] | None = None, **options: Any
    ) -> Any:
        """The fillings of a text's masks, or of those of each text of a list.

        Args:
            text: a text in which the tokenizer's mask token stands where a word is asked for.
            top_k: how many words for each mask; all targets are given.
            targets: the words to choose from.
            options: none.

        Raises:
            InputError: for a text without a mask, or one that is too long.
        """
        return super().__call__(text, top_k=top_k, targets=targets, **options)
