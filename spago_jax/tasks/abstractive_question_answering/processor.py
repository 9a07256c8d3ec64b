# SPDX-License-Identifier: BSD-2-Clause
"""The processor of abstractive question answering: a question with its passages as one text."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from spago_jax.data.examples import Parallel
from spago_jax.errors import InputError
from spago_jax.tasks.pretrained.pieces import fields, placed, text_of
from spago_jax.tasks.text_to_text.answer import WrittenText, WrittenTexts
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor


@dataclasses.dataclass(slots=True)
class Asked(Parallel):
    """A question with passages; ``source`` is both as the model reads them.

    Attributes:
        question: the question.
        passages: the passages.
    """

    question: str = ""
    passages: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class WrittenAnswers(WrittenTexts):
    """The answers to a question.

    Attributes:
        question: as it was given.
        passages: those that were read.
    """

    question: str = ""
    passages: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Question and answers."""
        found: dict[str, Any] = {"line": self.line} if self.line else {}
        texts = [text.to_dict() for text in self.texts]
        return found | {"question": self.question, "text": self.text, "texts": texts}


class AskedProcessor(TextToTextProcessor):
    """Questions with passages to ids, and ids to answers."""

    task: ClassVar[str] = "abstractive-question-answering"
    example_options: ClassVar[tuple[str, ...]] = ("passages",)

    def example(self, value: object, *, passages: object = None) -> Asked:
        """A question with its passages: ``(question, passages)``, a record with both, or both arguments.

        Raises:
            InputError: for anything else, or a question without words.
        """
        value, line = placed(value)
        if isinstance(value, Mapping):
            given = {} if passages is None else {"passages": passages}
            record = fields({**given, **value}, "question", "passages")
            value, passages = record["question"], record["passages"]
        elif isinstance(value, tuple | list) and len(value) == 2:
            value, passages = value
        if isinstance(value, Asked):
            return value
        question = text_of(value, "a question, which is a text")
        if not question.strip():
            raise InputError("the question is empty")
        if passages is None:
            raise InputError(f"{question!r:.60} has no passages to answer from: give passages=, or both as a pair")
        texts = passages_of(passages)
        return Asked(question_with(question, texts), None, line, question, texts)

    def answer(self, example: Parallel, texts: Sequence[WrittenText]) -> WrittenAnswers:
        """The answers that were written."""
        assert isinstance(example, Asked)
        return WrittenAnswers(example.source, tuple(texts), example.line, example.question, example.passages)


def question_with(question: str, passages: Sequence[str]) -> str:
    """Returns a question and its passages as one text, as BART is trained for long answers.

    Source: cybertron's ``PrepareInputForAbstractiveQuestionAnswering``.

    >>> question_with("Who?", ["Ada.", "Bo."])
    'question: Who? context: <P> Ada. <P> Bo.'
    """
    return " ".join([f"question: {question} context:", *(f"<P> {passage}" for passage in passages)])


def passages_of(passages: object) -> tuple[str, ...]:
    """Returns the texts of passages: a text, a list of texts, or what ``passage-search`` has found.

    Raises:
        InputError: for anything else.
    """
    if isinstance(passages, str):
        return (passages,)
    if not isinstance(passages, Iterable):
        raise InputError(f"passages: a {type(passages).__name__}, expected a text or a list of texts")
    return tuple(text_of(getattr(passage, "text", passage), "a passage, which is a text") for passage in passages)
