# SPDX-License-Identifier: BSD-2-Clause
"""PretrainedTokenClassification: the predictor of ``token-classification`` by a folder in Hugging Face's layout."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core import Array
from spago_jax.core.section import Section
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, WindowSettings, inputs, longest
from spago_jax.tasks.pretrained.tagger import Aggregation, PieceTagProcessor


class PieceTagOptions(Section):
    """How words get their tags, and which spans are given."""

    aggregation: Aggregation = Field(default="first", description="how a word gets its tag from those of its pieces")
    threshold: float = Field(default=0.0, ge=0, le=1, description="less probable spans are left out")


class PretrainedTokenClassification(PretrainedPredictor[WindowSettings]):
    """Tags the words of texts and finds the spans that the tags mark."""

    name: ClassVar[str] = "token-classification"
    head: ClassVar[str] = "token-classification"
    Options = PieceTagOptions
    Settings = WindowSettings

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: WindowSettings) -> PieceTagProcessor:
        """Long texts are read in windows that share 64 pieces."""
        return PieceTagProcessor(
            pretrained.tokenizer, longest(pretrained, settings.max_length), pretrained.labels, settings.stride
        )

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``logits`` [batch, time, tags]."""
        return {"logits": model.logits(**inputs(model, batch))}

    def __call__(self, text: Any = None, *, tokens: Any = None, **options: Any) -> Any:
        """The spans of a text, or of each text of a list.

        Args:
            text: one text, or a list of them.
            tokens: instead of a text: the tokens of one, or a list of such lists.
            options: ``aggregation`` (``first``), ``threshold``.
        """
        if tokens is None:
            return super().__call__(text, **options)
        alone = bool(tokens) and isinstance(tokens[0], str)
        return super().__call__(tuple(tokens) if alone or not tokens else [tuple(row) for row in tokens], **options)
