# SPDX-License-Identifier: BSD-2-Clause
"""The answer of fill-mask: words for each mask, with their probabilities."""

import dataclasses
from typing import Any

from spago_jax.data.processor import Answer, Findings, Paint


@dataclasses.dataclass(frozen=True)
class Filling:
    """A word for a mask.

    Attributes:
        token: the word, without the marks that a tokenizer adds.
        score: its probability; of a word of several pieces, the product of theirs, each at a mask of its own.
        text: the text with the word in the place of the mask.
        id: the id of the piece; None for a word of several pieces.
    """

    token: str
    score: float
    text: str
    id: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain JSON."""
        return {"token": self.token, "score": self.score, "text": self.text, "id": self.id}


@dataclasses.dataclass(frozen=True)
class FilledText(Answer, Findings[tuple[Filling, ...]]):
    """For each mask of a text, in order, its best fillings.

    Attributes:
        text: as it was given.
        masks: the fillings of each mask, the best first.
        line: the line that the text comes from, where it came from a file.
    """

    text: str
    masks: tuple[tuple[Filling, ...], ...]
    line: int = 0

    @property
    def findings(self) -> tuple[tuple[Filling, ...], ...]:
        """The fillings of each mask."""
        return self.masks

    def to_dict(self) -> dict[str, Any]:
        """Text, line, and the fillings of each mask."""
        masks = [[filling.to_dict() for filling in mask] for mask in self.masks]
        return {"text": self.text, "line": self.line, "masks": masks}

    def to_text(self, paint: Paint | None = None) -> str:
        """One filling per line: word, score, and the text with it; a blank line between masks."""
        blocks = ("".join(f"{f.token}\t{f.score:.4f}\t{f.text}\n" for f in mask) for mask in self.masks)
        return "\n".join(blocks)
