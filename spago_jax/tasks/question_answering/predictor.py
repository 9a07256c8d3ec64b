# SPDX-License-Identifier: BSD-2-Clause
"""QuestionAnswering: the predictor of ``question-answering``."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core import Array
from spago_jax.core.section import PositiveInt, Section
from spago_jax.errors import InputError
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, WindowSettings, inputs, longest
from spago_jax.tasks.question_answering.processor import QuestionProcessor

WINDOW = 384


class QuestionOptions(Section):
    """Which spans are given."""

    passage: str | None = Field(default=None, description="the passage of all questions")
    top_k: PositiveInt = Field(default=3, description="how many answers are listed")
    max_answer_length: PositiveInt | None = Field(
        default=None, description="the most pieces of an answer (default: 20, or as the run says)"
    )
    min_score: float | None = Field(default=None, ge=0, le=1, description="less probable answers are left out")
    no_answer: bool | None = Field(
        default=None, description='let "the passage does not say" compete (default: no, or as the run says)'
    )


class QuestionAnswering(PretrainedPredictor[WindowSettings]):
    """Finds the spans of a passage that answer a question."""

    name: ClassVar[str] = "question-answering"
    head: ClassVar[str] = "question-answering"
    Options = QuestionOptions
    Settings = WindowSettings

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: WindowSettings) -> QuestionProcessor:
        """Windows of 384 pieces, or as many as the encoder reads, that share 128."""
        return QuestionProcessor(
            pretrained.tokenizer, longest(pretrained, settings.max_length or WINDOW), settings.stride
        )

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``start`` and ``end`` logits [batch, time]."""
        found = model.logits(**inputs(model, batch))
        return {"start": found[..., 0], "end": found[..., 1]}

    def __call__(self, question: Any = None, passage: Any = None, **options: Any) -> Any:
        """The answers to a question, or to each of a list of questions.

        Args:
            question: a question, or a list of them.
            passage: its passage, or a list of as many.
            options: ``top_k`` (3), ``max_answer_length`` (20 pieces, or as a run says), ``min_score``, ``no_answer``.

        Raises:
            InputError: for a question without a passage, or lists of unequal length.
        """
        if isinstance(question, list) and isinstance(passage, str):
            passage = [passage] * len(question)
        if isinstance(question, list) and isinstance(passage, list):
            if len(question) != len(passage):
                raise InputError(f"{len(question)} questions and {len(passage)} passages: expected one for each")
            return super().__call__(list(zip(question, passage, strict=True)), **options)
        if passage is None:  # examples, as ``stream`` takes them
            return super().__call__(question, **options)
        return super().__call__((question, passage), **options)
