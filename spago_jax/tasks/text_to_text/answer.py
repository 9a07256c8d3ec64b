# SPDX-License-Identifier: BSD-2-Clause
"""The texts that were written for one text."""

import dataclasses
from typing import Any

from spago_jax.data.processor import Answer, Findings, Paint


@dataclasses.dataclass(frozen=True)
class WrittenText:
    """One text that was written.

    Attributes:
        text: the text.
        score: with beams, the sum of the log-probabilities of its tokens over ``tokens ** length_penalty``, as
            transformers' ``sequences_scores``; otherwise the mean log-probability of its tokens.
    """

    text: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Returns text and score as plain JSON."""
        return {"text": self.text, "score": self.score}


@dataclasses.dataclass(frozen=True)
class WrittenTexts(Answer, Findings[WrittenText]):
    """The texts that were written for one text, which it is a sequence of.

    Attributes:
        source: the text, as it was given.
        texts: those that were written, the best first.
        line: the line that it comes from, where it came from a file.
    """

    source: str
    texts: tuple[WrittenText, ...] = ()
    line: int = 0

    @property
    def findings(self) -> tuple[WrittenText, ...]:
        """The texts."""
        return self.texts

    @property
    def text(self) -> str:
        """The best text."""
        return self.texts[0].text if self.texts else ""

    @property
    def score(self) -> float:
        """The score of the best text."""
        return self.texts[0].score if self.texts else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Line and source, the best text, and all texts with their scores."""
        found: dict[str, Any] = {"line": self.line} if self.line else {}
        return found | {"source": self.source, "text": self.text, "texts": [text.to_dict() for text in self.texts]}

    def to_text(self, paint: Paint | None = None) -> str:
        """The text; of several, one per line with its score."""
        if len(self.texts) <= 1:
            return f"{self.text}\n"
        return "".join(f"{found.score:.4f}\t{found.text}\n" for found in self.texts)
