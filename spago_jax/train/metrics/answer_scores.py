# SPDX-License-Identifier: BSD-2-Clause
"""Scores of answers that are pieces of a passage, by the rules of SQuAD's official scripts."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypedDict

from spago_jax.errors import InputError
from spago_jax.train.metrics.protocol import ratio

__all__ = ["AnswerScores", "AnswerState", "NullScore", "answer_f1", "best_null_threshold", "exact_match", "normal_form"]

_MARKS = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def normal_form(answer: str) -> str:
    """Returns the form of an answer that is compared: lower case, no ASCII marks, no English articles, single spaces.

    >>> normal_form("The  Eiffel-Tower, a tower")
    'eiffeltower tower'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_MARKS)).split())


def exact_match(golds: Iterable[str], predicted: str) -> float:
    """Returns 1 if the answer has the same normal form as one of the gold answers, else 0.

    Args:
        golds: the right answers; none if the passage has no answer, whose prediction is the empty text.
        predicted: the answer.
    """
    form = normal_form(predicted)
    return float(any(normal_form(gold) == form for gold in _that_count(golds)))


def answer_f1(golds: Iterable[str], predicted: str) -> float:
    """Returns the F1 of the words of an answer, with the gold answer that it is nearest to.

    With c words in common, counted as often as they stand in both: f1 = 2 c / (gold words + predicted words). Where
    one of them has no words it is 1 if neither has, else 0.

    >>> answer_f1(["the old cat", "cat"], "a cat sat")
    0.6666666666666666

    Args: as for ``exact_match``.
    """
    words = normal_form(predicted).split()
    return max(_f1(normal_form(gold).split(), words) for gold in _that_count(golds))


def _f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    if not gold or not predicted:
        return float(not gold and not predicted)
    common = sum((Counter(gold) & Counter(predicted)).values())
    return 2 * common / (len(gold) + len(predicted))


def _that_count(golds: Iterable[str]) -> list[str]:
    """The gold answers that have words; the empty one if there are none."""
    if isinstance(golds, str):
        raise InputError(f"gold answers: {golds!r} is a text, expected a list of texts")
    return [gold for gold in golds if normal_form(gold)] or [""]


class AnswerState(TypedDict):
    """Sums [questions, exact matches, F1] over questions with an answer and over those without."""

    answerable: list[float]
    impossible: list[float]


class AnswerScores:
    """Exact match and F1 of answers, means over questions; fractions of 1.

    Source: Rajpurkar et al. 2016 and 2018, and the script evaluate-v2.0.py.

    >>> metric = AnswerScores()
    >>> state = metric.update(metric.init(), ["Paris", "the city of Paris"], "in Paris")
    >>> metric.compute(metric.update(state, [], ""))
    {'exact_match': 0.5, 'f1': 0.8333333333333333, 'exact_match/answerable': 0.0, 'f1/answerable': 0.6666666666666666, \
'exact_match/impossible': 1.0, 'f1/impossible': 1.0}
    """

    def init(self) -> AnswerState:
        """Returns the empty state."""
        return {"answerable": [0, 0.0, 0.0], "impossible": [0, 0.0, 0.0]}

    def update(self, state: AnswerState, golds: Sequence[str], predicted: str) -> AnswerState:
        """Counts the answer to one question.

        Args:
            state: the sums so far.
            golds: the right answers; none if there is no answer in the passage.
            predicted: the answer; empty for "there is none".
        """
        new: AnswerState = {"answerable": list(state["answerable"]), "impossible": list(state["impossible"])}
        sums = new["answerable" if _that_count(golds) != [""] else "impossible"]
        for place, value in enumerate((1, exact_match(golds, predicted), answer_f1(golds, predicted))):
            sums[place] += value
        return new

    def merge(self, a: AnswerState, b: AnswerState) -> AnswerState:
        """Returns the sums of both parts."""
        return {
            "answerable": [x + y for x, y in zip(a["answerable"], b["answerable"], strict=True)],
            "impossible": [x + y for x, y in zip(a["impossible"], b["impossible"], strict=True)],
        }

    def compute(self, state: AnswerState) -> dict[str, float]:
        """Returns ``exact_match`` and ``f1``; where some questions have no answer, those of both kinds as well."""
        parts = {"/answerable": state["answerable"], "/impossible": state["impossible"]}
        both = [x + y for x, y in zip(*parts.values(), strict=True)]
        wanted = {"": both, **(parts if state["impossible"][0] else {})}
        return {
            f"{name}{suffix}": ratio(sums[place], sums[0])
            for suffix, sums in wanted.items()
            for place, name in ((1, "exact_match"), (2, "f1"))
        }


class NullScore(NamedTuple):
    """What is known of one question before it is decided whether there is an answer.

    Attributes:
        score: how much speaks for "there is none", such as the null score less that of the best answer.
        gain: the exact match or the F1 of the best answer.
        answerable: whether there is an answer.
        answered: whether the best answer is a text, and not the empty one.
    """

    score: float
    gain: float
    answerable: bool
    answered: bool = True


def best_null_threshold(questions: Iterable[NullScore]) -> tuple[float, float]:
    """Returns the threshold of null scores that gives the best mean, and that mean.

    A question whose null score is above the threshold is answered with "there is none".

    >>> best_null_threshold([NullScore(-2.0, 1.0, True), NullScore(1.0, 0.5, True), NullScore(3.0, 0.0, False)])
    (1.0, 0.8333333333333334)

    Raises:
        InputError: there are no questions.
    """
    rows = sorted(questions, key=lambda row: row.score)
    if not rows:
        raise InputError("no threshold can be found without questions")
    total = best = float(sum(not row.answerable for row in rows))
    threshold = min(0.0, rows[0].score - 1.0)  # below all of them: no question is answered
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        total += row.gain if row.answerable else -float(row.answered)
        if total > best and (after is None or after.score > row.score):
            best, threshold = total, row.score
    return threshold, best / len(rows)
