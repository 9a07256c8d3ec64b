# SPDX-License-Identifier: BSD-2-Clause
"""The texts that were written for one text."""

import dataclasses
from typing import Any

from spago_jax.data.processor import Answer, Findings, Paint


@dataclasses.dataclass(frozen=True)
class WrittenToken:
    """One token that was written.

    Attributes:
        text: its piece, as the vocabulary has it; empty where the vocabulary has none of this id.
        id: its id.
        score: its log-probability given those before it; see ``Generated.token_scores``.
    """

    text: str
    id: int
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Returns text, id and score as plain JSON."""
        return {"text": self.text, "id": self.id, "score": self.score}


@dataclasses.dataclass(frozen=True)
class WrittenText:
    """One text that was written.

    Attributes:
        text: the text.
        score: with beams, the sum of the log-probabilities of its tokens over ``tokens ** length_penalty``, as
            transformers' ``sequences_scores``; otherwise the mean log-probability of its tokens.
        tokens: its tokens with the end among them, where ``token_scores`` asks for them; those of windows follow one
            another.
    """

    text: str
    score: float
    tokens: tuple[WrittenToken, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns text and score as plain JSON, and the tokens where they are there."""
        found: dict[str, Any] = {"text": self.text, "score": self.score}
        return found if self.tokens is None else found | {"tokens": [token.to_dict() for token in self.tokens]}

    def token_lines(self) -> str:
        """Returns a line for each token that is there: its score and its text."""
        return "".join(f"  {token.score:.4f}\t{token.text}\n" for token in self.tokens or ())


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
        """The text; of several, one per line with its score; below each its tokens, where they are there."""
        if len(self.texts) <= 1:
            return f"{self.text}\n" + "".join(found.token_lines() for found in self.texts)
        return "".join(f"{found.score:.4f}\t{found.text}\n{found.token_lines()}" for found in self.texts)
