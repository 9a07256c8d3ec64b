# SPDX-License-Identifier: BSD-2-Clause
"""The answer of extractive question answering: spans of the passage."""

import dataclasses
from typing import Any

from spago_jax.data.processor import Answer, Findings, Paint


@dataclasses.dataclass(frozen=True)
class AnswerSpan:
    """A span of the passage.

    Attributes:
        text: ``passage[start:end]``; empty for "the passage does not say".
        start: where it begins, in code points.
        end: where it ends, exclusive.
        score: its probability among all spans of the passage.
        margin: how much the sum of its logits exceeds that of "the passage does not say": unlike the probability, it
            can be compared between passages.
    """

    text: str
    start: int
    end: int
    score: float
    margin: float = dataclasses.field(default=0.0, kw_only=True, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns text, place and score as plain JSON."""
        found = dataclasses.asdict(self)
        del found["margin"]
        return found


@dataclasses.dataclass(frozen=True)
class Answers(Answer, Findings[AnswerSpan]):
    """The best spans for a question, which it is a sequence of; none if no span is good enough.

    Attributes:
        question: as it was given.
        passage: as it was given.
        answers: the spans, the best first.
        id: that of the question, where it came from a file.
        line: the line that it comes from, where it came from a file.
    """

    question: str
    passage: str = dataclasses.field(repr=False)
    answers: tuple[AnswerSpan, ...] = ()
    id: str = ""
    line: int = 0

    @property
    def findings(self) -> tuple[AnswerSpan, ...]:
        """The spans."""
        return self.answers

    def to_dict(self) -> dict[str, Any]:
        """Question, its id or line, and the spans."""
        found: dict[str, Any] = {"id": self.id} if self.id else {"line": self.line}
        return found | {"question": self.question, "answers": [answer.to_dict() for answer in self.answers]}

    def to_text(self, paint: Paint | None = None) -> str:
        """One span per line: text, score and place; ``-`` where there is none."""
        lines = (f"{a.text or '-'}\t{a.score:.4f}\t{a.start}:{a.end}\n" for a in self.answers)
        return "".join(lines) or "-\n"
