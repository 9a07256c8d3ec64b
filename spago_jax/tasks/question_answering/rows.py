# SPDX-License-Identifier: BSD-2-Clause
"""Windows with the places of their answers: what question answering is trained on."""

from collections.abc import Iterable, Sequence

import numpy as np

from spago_jax.data.examples import Question
from spago_jax.data.notes import Notes
from spago_jax.data.processor import Rows
from spago_jax.data.ragged import RaggedArray
from spago_jax.errors import InputError
from spago_jax.tasks.pretrained.windows import pieces_of, whole
from spago_jax.tasks.question_answering.processor import QuestionProcessor
from spago_jax.text.tokenizers.tokenizer import Encoding


class SpanRows(Rows):
    """Windows of passages, each with its question before it.

    Attributes:
        ids: the ids of each window's pieces.
        types: their token types.
        spans: the first and the last piece of the answer in each window, int32 [n, 2]; 0 and 0, the mark at the
            beginning, where the window does not hold the whole answer.
        questions: the questions, which ``owners`` counts.
    """

    def __init__(
        self,
        windows: Sequence[tuple[list[int], list[int]]],
        spans: Sequence[tuple[int, int]],
        owners: Sequence[int],
        questions: Sequence[Question],
    ):
        self.owners = np.array(owners, np.int64)
        self.lengths = np.array([len(ids) for ids, _ in windows], np.int64)
        self.ids, self.types = (
            RaggedArray.from_lengths(np.array([x for window in windows for x in window[part]], np.int32), self.lengths)
            for part in (0, 1)
        )
        self.spans = np.array(spans, np.int32).reshape(-1, 2)
        self.questions = tuple(questions)


def gold_spans(windows: Sequence[Encoding], stride: int, question: Question) -> list[tuple[int, int]] | None:
    """Returns the places of the first and the last piece of a question's answer in each window.

    The answer is the first of several; all pieces that share a character with it belong to it. A window that does not
    hold all of them has (0, 0), as every window of a question without an answer.

    Args:
        windows: of the passage.
        stride: how many pieces of a window the next one repeats, if it has room.
        question: with its answers.

    Returns:
        One pair per window, or None for an answer that no piece of the passage belongs to.
    """
    if question.impossible or not question.answers:
        return [(0, 0)] * len(windows)
    text, begin = question.answers[0]
    places = pieces_of(windows, 1, stride)
    bounds = np.array(whole(windows, places)[0], np.int64).reshape(-1, 2)
    held = np.flatnonzero((bounds[:, 1] > begin) & (bounds[:, 0] < begin + len(text)) & (bounds[:, 0] < bounds[:, 1]))
    if not held.size:
        return None
    found = []
    for place in places:
        first, last = np.flatnonzero(place == held[0]), np.flatnonzero(place == held[-1])
        found.append((int(first[0]), int(last[0])) if first.size and last.size else (0, 0))
    return found


def span_rows(processor: QuestionProcessor, questions: Iterable[Question], notes: Notes) -> SpanRows:
    """Returns the windows of questions with the places of their answers.

    Args:
        processor: cuts the windows.
        questions: from a reader. Those whose answers are not known are left out.
        notes: where questions are counted that are left out, or have an answer without pieces.

    Raises:
        InputError: for a question that leaves no room for its passage, or where no question is left.
    """
    kept: list[Question] = []
    windows, spans, owners = [], [], []
    for question in questions:
        if not question.answers and not question.impossible:
            notes.add("questions are left out: the file has no answers for them, and does not call them impossible")
            continue
        try:
            (encodings,) = processor.encodings([processor.example(question)])
        except InputError as error:
            raise InputError(f"question {question.id!r}: {error}", line=question.line or None) from None
        places = gold_spans(encodings, processor.stride, question)
        if places is None:
            notes.add("answers have no piece of the passage, so that training takes them for none")
            places = [(0, 0)] * len(encodings)
        windows += [(encoding.ids, encoding.type_ids) for encoding in encodings]
        spans += places
        owners += [len(kept)] * len(encodings)
        kept.append(question)
    if not windows:
        raise InputError("no question has an answer and a passage")
    return SpanRows(windows, spans, owners, kept)
