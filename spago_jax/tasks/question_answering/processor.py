# SPDX-License-Identifier: BSD-2-Clause
"""The processor of question answering: windows over a passage, each with the question before it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.examples import Question
from spago_jax.errors import InputError
from spago_jax.tasks.pretrained.pieces import PieceProcessor, PieceRows, fields, placed, text_of
from spago_jax.tasks.pretrained.windows import pieces_of, shared, whole
from spago_jax.tasks.question_answering.answer import Answers, AnswerSpan
from spago_jax.tasks.question_answering.spans import Window, best_spans
from spago_jax.text.sentences import written_without_blanks
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding


class QuestionProcessor(PieceProcessor[Question, Answers]):
    """Questions with passages to windows, and the logits of their pieces to spans of the passage.

    Args:
        tokenizer: that of the encoder.
        max_length: the most pieces of a window, question and marks among them.
        stride: how many pieces of the passage the next window repeats; 128 by default.
        max_answer_length: the most pieces of an answer, where a user does not say.
        no_answer: whether "the passage does not say" competes, where a user does not say.
    """

    outputs: ClassVar[tuple[str, ...]] = ("start", "end")
    example_options: ClassVar[tuple[str, ...]] = ("passage",)

    def __init__(
        self,
        tokenizer: SubwordTokenizer,
        max_length: int,
        stride: int | None = None,
        max_answer_length: int = 20,
        no_answer: bool = False,
    ):
        super().__init__(tokenizer, max_length)
        self.stride = 128 if stride is None else stride
        self.max_answer_length, self.no_answer = max_answer_length, no_answer

    def example(self, value: object, *, passage: str | None = None) -> Question:
        """A question with its passage: ``(question, passage)``, a dict with these keys, or both arguments.

        Raises:
            InputError: for anything else, or a question without words.
        """
        value, line = placed(value)
        if isinstance(value, Mapping):
            given = {} if passage is None else {"passage": passage}
            record = fields({**given, **value}, "question", "passage")
            value = Question(str(record.get("id", "")), record["question"], record["passage"], line=line)
        elif isinstance(value, tuple | list) and len(value) == 2:
            value = Question("", value[0], value[1], line=line)
        elif isinstance(value, str) and passage is not None:
            value = Question("", value, passage, line=line)
        elif isinstance(value, str):
            raise InputError(f"{value!r:.60} has no passage to find answers in: give passage=, or (question, passage)")
        if not isinstance(value, Question):
            raise InputError(f"a {type(value).__name__}, expected a question and a passage")
        text_of(value.passage, "a passage, which is a text")
        if not text_of(value.question, "a question, which is a text").strip():
            raise InputError("the question is empty")
        return value

    def encodings(self, examples: Sequence[Question]) -> list[list[Encoding]]:
        """The windows of each passage; an empty passage has none."""
        return [self._windows(example) if example.passage.strip() else [] for example in examples]

    def batch(self, rows: Any, indices: np.ndarray, length: int, *, targets: bool = False) -> dict[str, np.ndarray]:
        """The ``ids``, ``types`` and ``lengths``; as targets ``spans`` [..., 2], and ``weight`` 0 for an empty row."""
        found = super().batch(rows, indices, length)
        if targets:
            found |= {
                "spans": np.where(indices[..., None] < 0, 0, rows.spans[indices]),
                "weight": (indices >= 0).astype(np.float32),
            }
        return found

    def _windows(self, example: Question) -> list[Encoding]:
        question = self.tokenizer.encode(example.question, special_tokens=False)
        room = self.max_length - self.tokenizer.special_count(pair=True) - len(question.ids)
        if room < 1:
            raise InputError(
                f"{example.question!r:.60} has {len(question.ids)} pieces, which leaves no room for the passage: at "
                f"most {len(question.ids) + room - 1} fit beside one piece of it; shorten it, or raise max_length"
            )
        stride = shared(room, self.stride)
        return self.tokenizer.windows(
            example.question, example.passage, max_length=self.max_length, stride=stride, cut="second"
        )

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: PieceRows,
        owned: Sequence[int],
        example: Question,
        *,
        top_k: int = 3,
        max_answer_length: int | None = None,
        min_score: float | None = None,
        no_answer: bool | None = None,
    ) -> Answers:
        """The best spans of the passage, no text twice.

        Args:
            outputs: the ``start`` and ``end`` logits of each window.
            rows: the windows.
            owned: the numbers of the example's windows.
            example: the question and its passage.
            top_k: how many spans, at most.
            max_answer_length: the most pieces of a span; the processor's by default.
            min_score: less probable spans are left out.
            no_answer: let "the passage does not say" compete: a span without text; as the processor says by default.
        """
        max_answer_length = self.max_answer_length if max_answer_length is None else max_answer_length
        no_answer = self.no_answer if no_answer is None else no_answer
        encodings = [rows.encodings[row] for row in owned]
        places = pieces_of(encodings, 1, self.stride)
        offsets, words = whole(encodings, places)
        windows = []
        for found, place in zip(outputs, places, strict=True):
            start, end = found["start"][: len(place)], found["end"][: len(place)]
            windows.append(Window(start, end, place, float(start[0]) + float(end[0])))
        # Many spans share one text (pieces of one word, the same name again), so more are looked at than are asked for.
        scored = best_spans(
            windows, len(offsets), longest=max_answer_length, count=20 * top_k + 20, no_answer=no_answer
        )
        answers: dict[str, AnswerSpan] = {}
        for first, last, probability, margin in scored:
            if min_score is not None and probability < min_score:
                break
            begin, end = (0, 0) if first < 0 else word_bounds(example.passage, offsets, words, first, last)
            text = example.passage[begin:end]
            answers.setdefault(text.casefold(), AnswerSpan(text, begin, end, probability, margin=margin))
            if len(answers) == top_k:
                break
        if not windows and no_answer and not (min_score is not None and min_score > 1):
            answers[""] = AnswerSpan("", 0, 0, 1.0)
        return Answers(example.question, example.passage, tuple(answers.values()), example.id, example.line)

    def settings(self) -> dict[str, Any]:
        """The size of a window, how much the next one repeats, and which answers are given."""
        kept = ("max_length", "stride", "max_answer_length", "no_answer")
        return {"task": "question-answering"} | {name: getattr(self, name) for name in kept}


def word_bounds(
    text: str, offsets: Sequence[tuple[int, int]], words: Sequence[int | None], first: int, last: int
) -> tuple[int, int]:
    """Returns the offsets of a span of pieces, widened to whole words where words stand apart by blanks.

    A "word" of a script without blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese) may be a whole sentence, so spans
    in it end where their pieces end.
    """
    first, last = _edge(text, offsets, words, first, -1), _edge(text, offsets, words, last, 1)
    return offsets[first][0], offsets[last][1]


def _edge(text: str, offsets: Sequence[tuple[int, int]], words: Sequence[int | None], piece: int, step: int) -> int:
    while (
        0 <= piece + step < len(offsets)
        and words[piece] is not None
        and words[piece + step] == words[piece]
        and not any(map(written_without_blanks, text[slice(*offsets[piece])] + text[slice(*offsets[piece + step])]))
    ):
        piece += step
    return piece
