# SPDX-License-Identifier: BSD-2-Clause
"""The answers of classifiers, whatever they read: a class, several labels, or a number."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from spago_jax.data.processor import Answer, Findings, Paint


@dataclasses.dataclass(frozen=True)
class Given:
    """What was classified, as it was given.

    Attributes:
        text: the text, where it is one.
        pair: the second text of a pair.
        line: the line that it begins in, where it came from a file.
        cut: how many tokens at its end the model did not read.
    """

    text: str | None = None
    pair: str | None = None
    line: int = 0
    cut: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that say something."""
        if self.text is None:
            return {}
        found: dict[str, Any] = {"text": self.text, "line": self.line}
        if self.pair is not None:
            found["pair"] = self.pair
        if self.cut:
            found["cut"] = self.cut
        return found

    def to_text(self) -> str:
        """Returns the texts, each after a tab."""
        return "".join(f"\t{text}" for text in (self.text, self.pair) if text is not None)


class ClassScore(NamedTuple):
    """A class with its score."""

    label: str
    score: float


Ranking = tuple[ClassScore, ...]


class ClassifierAnswer(Answer):
    """An answer that can be laid beside the text that it is about."""

    given: Given

    @property
    def text(self) -> str | None:
        """The text as it was given; None for a picture."""
        return self.given.text

    @property
    def line(self) -> int:
        """The line that the text begins in, where it came from a file."""
        return self.given.line


@dataclasses.dataclass(frozen=True)
class Classification(ClassifierAnswer, Findings[ClassScore]):
    """The best class, and the scores of the best ones, which it is a sequence of.

    Attributes:
        label: the best class.
        score: its score, a probability unless the model says otherwise.
        ranking: classes and scores, best first.
        given: what was classified.
    """

    label: str
    score: float
    ranking: Ranking
    given: Given = Given()

    @property
    def findings(self) -> Ranking:
        """The ranking."""
        return self.ranking

    def to_dict(self) -> dict[str, Any]:
        """Text, line, label, score and ranking."""
        found = {"label": self.label, "score": round(self.score, 6), "ranking": _rounded(self.ranking)}
        return self.given.to_dict() | found

    def to_text(self, paint: Paint | None = None) -> str:
        """Label, score and text, apart by tabs."""
        return f"{self.label}\t{self.score:.4f}{self.given.to_text()}\n"


@dataclasses.dataclass(frozen=True)
class Labels(ClassifierAnswer):
    """The labels whose probability reaches a threshold; there may be none.

    Attributes:
        labels: the labels, the most probable first.
        ranking: labels and probabilities, best first.
        given: what was classified.
    """

    labels: tuple[str, ...]
    ranking: Ranking
    given: Given = Given()

    def to_dict(self) -> dict[str, Any]:
        """Text, line, labels and ranking."""
        return self.given.to_dict() | {"labels": list(self.labels), "ranking": _rounded(self.ranking)}

    def to_text(self, paint: Paint | None = None) -> str:
        """The labels, apart by blanks, and the text, apart by a tab."""
        return f"{' '.join(self.labels) or '-'}{self.given.to_text()}\n"


@dataclasses.dataclass(frozen=True)
class Value(ClassifierAnswer):
    """A number.

    Attributes:
        value: the number, in the unit of the training labels.
        given: what it belongs to.
    """

    value: float
    given: Given = Given()

    def to_dict(self) -> dict[str, Any]:
        """Text, line and value."""
        return self.given.to_dict() | {"value": round(self.value, 6)}

    def to_text(self, paint: Paint | None = None) -> str:
        """The value and the text, apart by a tab."""
        return f"{self.value:.6g}{self.given.to_text()}\n"


def _rounded(ranking: Ranking) -> dict[str, float]:
    return {label: round(probability, 6) for label, probability in ranking}


def ranked(
    logits: np.ndarray,
    labels: Sequence[str],
    *,
    top_k: int = 5,
    threshold: float = 0.0,
    otherwise: str | None = None,
    given: Given = Given(),
) -> Classification:
    """Returns the best classes of a row of logits, with ``softmax(logits)``.

    Args:
        logits: one per class.
        labels: the classes.
        top_k: how many of them the ranking has.
        threshold: the least probability with which a class is given.
        otherwise: the label where no class reaches the threshold.
        given: what was classified.

    >>> ranked(np.log(np.array([0.25, 0.75])), ["no", "yes"]).to_dict()["ranking"]
    {'yes': 0.75, 'no': 0.25}
    """
    shifted = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    ranking = _best(shifted / shifted.sum(), labels, top_k)
    label, probability = ranking[0]
    return Classification(
        label if probability >= threshold or otherwise is None else otherwise, probability, ranking, given
    )


def labeled(
    logits: np.ndarray,
    labels: Sequence[str],
    *,
    top_k: int = 5,
    threshold: float | Mapping[str, float] = 0.5,
    given: Given = Given(),
) -> Labels:
    """Returns the labels whose ``sigmoid(logits)`` reaches a threshold, or that of each; arguments as for ``ranked``.

    >>> labeled(np.array([2.0, -1.0, 0.5]), ["a", "b", "c"]).labels
    ('a', 'c')
    """
    probabilities = 1.0 / (1.0 + np.exp(-np.asarray(logits, np.float64)))
    least = threshold if isinstance(threshold, Mapping) else dict.fromkeys(labels, threshold)
    found = [pair for pair in _best(probabilities, labels, len(labels)) if pair[1] >= least[pair[0]]]
    return Labels(tuple(label for label, _ in found), _best(probabilities, labels, top_k), given)


def _best(probabilities: np.ndarray, labels: Sequence[str], top_k: int) -> Ranking:
    best = np.argsort(-probabilities, kind="stable")[:top_k]
    return tuple(ClassScore(str(labels[i]), float(probabilities[i])) for i in best.tolist())
