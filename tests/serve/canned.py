"""Predictors with one answer each, known beforehand: what the routes of other systems make of it is compared."""

import dataclasses
from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.tasks.classification import Classification, ClassScore, Given
from spago_jax.tasks.fill_mask.answer import FilledText, Filling
from spago_jax.tasks.predictor import Predictor, Prepared
from spago_jax.tasks.question_answering.answer import Answers, AnswerSpan
from spago_jax.tasks.question_answering.predictor import QuestionOptions
from spago_jax.tasks.replaced_token_detection.processor import JudgedText, JudgedWord
from spago_jax.tasks.text_encoding.predictor import EncodingOptions
from spago_jax.tasks.text_encoding.processor import TextVector
from spago_jax.tasks.text_to_text.answer import WrittenText, WrittenTexts
from spago_jax.tasks.text_to_text.predictor import WritingOptions
from spago_jax.tasks.token_classification.answer import LabeledSpan, TaggedText
from spago_jax.tasks.zero_shot_classification.predictor import ZeroShotOptions

PASSAGE = "The old house \U0001f3e0 stands on a hill <by> the sea."


class _Processor:
    example_options = ()
    mask = "<mask>"


class Canned(Predictor):
    """One answer to whatever is asked; keeps what was."""

    def __init__(self, name: str, answer: Any, options: Any = None):
        self.name, self.answer, self.asked = name, answer, []
        self.processor = _Processor()
        self.Options = options

    def stream(self, inputs, *, at_once=None, **options):
        yield from (self.answer for _ in inputs)

    def prepare(self, value, **options):
        self.asked.append((value, options))
        fields = ("question", "passage") if self.name == "question-answering" else ("text",)
        texts = [value] if isinstance(value, str) else []
        if isinstance(value, dict):
            texts = [value.get(name) for name in fields]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise InputError("expected a text, which is not empty")
        if self.name == "text-encoding":
            value = texts[0]
        return Prepared(self, value, options, (8,))

    def answers(self, prepared, cancelled=None):
        return [dataclasses.replace(self.answer) for _ in prepared]


def classification() -> Classification:
    ranking = (ClassScore("sport", 0.75), ClassScore("politics", 0.25))
    return Classification("sport", 0.75, ranking, Given("x"))


def tagged() -> TaggedText:
    text = "Ann \U0001f600 Lee is here"
    tokens = ("Ann", "\U0001f600", "Lee", "is", "here")
    offsets = ((0, 3), (4, 5), (6, 9), (10, 12), (13, 17))
    tags = ("B-PER", "I-PER", "I-PER", "O", "O")
    spans = (LabeledSpan("PER", 0, 9, text[:9], (0, 3), 0.5),)
    return TaggedText(text, tokens, offsets, tags, spans, scores=(0.5, 0.5, 0.5, 1.0, 1.0))


def all_tasks() -> list[Canned]:
    start = PASSAGE.index("on a hill")
    spans = (AnswerSpan("on a hill", start, start + 9, 0.5, margin=2.0), AnswerSpan("hill", start + 5, start + 9, 0.25))
    words = (JudgedWord("a", 0, 1, "REAL", 0.9), JudgedWord("fish", 2, 6, "FAKE", 0.8))
    masks = ((Filling("capital", 0.5, "x", 3), Filling("city", 0.25, "x", 4)),)
    return [
        Canned("question-answering", Answers("q", PASSAGE, spans), QuestionOptions),
        Canned("replaced-token-detection", JudgedText("a fish", words)),
        Canned("fill-mask", FilledText("x", masks)),
        Canned("token-classification", tagged()),
        Canned("text-classification", classification()),
        Canned("text-encoding", TextVector("x", np.array([0.5, -0.25], np.float32)), EncodingOptions),
        Canned("zero-shot-classification", classification(), ZeroShotOptions),
        Canned("text2text-generation", WrittenTexts("x", (WrittenText("ein Haus", -0.5),)), WritingOptions),
    ]
