# SPDX-License-Identifier: BSD-2-Clause
"""The answer of a classifier, whatever it reads."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from spago_jax.data.processor import Answer, Paint


@dataclasses.dataclass(frozen=True)
class Classification(Answer):
    """The most probable class, and the probabilities of the best ones.

    Attributes:
        label: the most probable class.
        probability: its probability.
        ranking: classes and probabilities, best first.
        text: what was classified, where it is a text.
        line: the line that it begins in, where it came from a file.
    """

    label: str
    probability: float
    ranking: tuple[tuple[str, float], ...]
    text: str | None = None
    line: int = 0

    def to_json(self) -> dict[str, Any]:
        """Text, line, label, probability and ranking."""
        found: dict[str, Any] = {} if self.text is None else {"text": self.text, "line": self.line}
        ranking = {label: round(probability, 6) for label, probability in self.ranking}
        return found | {"label": self.label, "probability": round(self.probability, 6), "ranking": ranking}

    def to_text(self, paint: Paint | None = None) -> str:
        """Label, probability and text, apart by tabs."""
        return f"{self.label}\t{self.probability:.4f}" + ("" if self.text is None else f"\t{self.text}") + "\n"


def ranked(
    logits: np.ndarray, labels: Sequence[str], *, top: int = 5, text: str | None = None, line: int = 0
) -> Classification:
    """The best classes of a row of logits, with ``softmax(logits)``.

    >>> ranked(np.log(np.array([0.25, 0.75])), ["no", "yes"]).to_json()["ranking"]
    {'yes': 0.75, 'no': 0.25}
    """
    shifted = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    probabilities = shifted / shifted.sum()
    best = np.argsort(-logits, kind="stable")[:top]
    ranking = tuple((str(labels[i]), float(probabilities[i])) for i in best.tolist())
    label, probability = ranking[0]
    return Classification(label, probability, ranking, text, line)
