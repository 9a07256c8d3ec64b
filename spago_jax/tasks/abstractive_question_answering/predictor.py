# SPDX-License-Identifier: BSD-2-Clause
"""AbstractiveQuestionAnswering: the predictor of ``abstractive-question-answering``."""

from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core.section import Section, Texts
from spago_jax.errors import InputError
from spago_jax.tasks.abstractive_question_answering.processor import AskedProcessor
from spago_jax.tasks.text_to_text.predictor import TextToText, WritingOptions
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor


class AskedOptions(WritingOptions):
    """Which passages are read, and how answers are written."""

    passages: Texts | None = Field(default=None, description="the passages of all questions")


class AbstractiveQuestionAnswering(TextToText):
    """Writes an answer to a question from passages, which may be those that ``passage-search`` has found."""

    name: ClassVar[str] = "abstractive-question-answering"
    processor_class: ClassVar[type[TextToTextProcessor]] = AskedProcessor
    Options: ClassVar[type[Section]] = AskedOptions

    def __call__(self, question: Any = None, passages: Any = None, **options: Any) -> Any:
        """The answer to a question, or to each of a list of questions.

        Args:
            question: a question, or a list of them.
            passages: its passages: texts, or what ``passage-search`` has found; for a list of questions a list with
                the passages of each.
            options: how answers are written, as for the other tasks that write.

        Raises:
            InputError: for a question without passages, or lists of unequal length.
        """
        if isinstance(question, list) and passages is not None:
            if len(question) != len(passages):
                raise InputError(
                    f"{len(question)} questions and {len(passages)} lists of passages: expected one for each"
                )
            return super().__call__(list(zip(question, passages, strict=True)), **options)
        if passages is None:
            return super().__call__(question, **options)
        return super().__call__((question, passages), **options)
