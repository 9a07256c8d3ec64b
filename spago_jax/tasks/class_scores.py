# SPDX-License-Identifier: BSD-2-Clause
"""Scores of classifiers: one class, several labels, or a number per example."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.train.details import SAMPLES, UNSEEN, confusion_table, label_table
from spago_jax.train.metrics.protocol import ratio
from spago_jax.train.metrics.token_scores import LabelRow, TokenScores
from spago_jax.train.task import Scores

Show = Callable[[int], dict[str, Any]]


class ClassScorer:
    """Compares predicted with gold classes, one an example: accuracy, macro-F1, loss, confusions, mistakes.

    Args:
        gold: the class of each example, [n]; -1 for a class that training never saw.
        names: the classes.
        show: an example as the report shows it.
        gold_name: the gold label of an example that the model lacks.

    Attributes:
        keep: how many mistakes are kept.
    """

    keep: int = SAMPLES

    def __init__(
        self, gold: np.ndarray, names: Sequence[str], show: Show, gold_name: Callable[[int], str] = lambda _: UNSEEN
    ):
        self._gold, self._names, self._show, self._gold_name = gold, list(names), show, gold_name
        # A class that training never saw is one of its own, so that it counts as missed.
        self._metric = TokenScores((*self._names, UNSEEN))
        self._state = self._metric.init()
        self._loss, self._loss_count = 0.0, 0
        self._unseen: Counter[str] = Counter()
        self._wrong: list[dict[str, Any]] = []

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the predictions of one block."""
        held = block.indices >= 0
        indices = block.indices[held]
        found = np.asarray(outputs["class"])[: block.steps][held]
        gold = self._gold[indices]
        if "loss" in outputs:
            losses = np.asarray(outputs["loss"])[: block.steps][held].astype(np.float64)
            known = ~np.isnan(losses)  # the loss of a class that the model lacks is not a number
            self._loss += float(losses[known].sum())
            self._loss_count += int(known.sum())
        sure = np.asarray(outputs["probability"])[: block.steps][held] if "probability" in outputs else None
        self._state = self._metric.update(self._state, np.where(gold < 0, len(self._names), gold), found)
        self._unseen.update(self._gold_name(index) for index in indices[gold < 0].tolist())
        for place in np.flatnonzero(gold != found).tolist():
            if len(self._wrong) >= self.keep:
                break
            index, g = int(indices[place]), int(gold[place])
            wrong = {
                "gold": self._names[g] if g >= 0 else self._gold_name(index),
                "predicted": self._names[found[place]],
            }
            if sure is not None:
                wrong["probability"] = round(float(sure[place]), 4)
            self._wrong.append({**self._show(index), **wrong})

    def compute(self) -> Scores:
        """The scores so far."""
        values = self._metric.compute(self._state)
        details: dict[str, Any] = {
            "labels": label_table(self._metric.rows(self._state)),
            "confusions": confusion_table(self._metric.labels, self._state),
            "samples": self._wrong,
        }
        if self._unseen:
            details["unseen"] = dict(self._unseen)
        scores = {name: values[name] for name in ("accuracy", "macro_f1")}
        if self._loss_count:
            scores["loss"] = self._loss / self._loss_count
        return Scores(scores, details)


class MultiLabelScorer:
    """Compares sets of labels: micro- and macro-F1, the share of examples whose set is right, loss, mistakes.

    Args:
        gold: whether each example has each label, 0 or 1, [n, labels].
        names: the labels.
        missing: of each example, the gold labels that the model lacks; they count as missed.
        show: an example as the report shows it.

    Attributes:
        keep: how many mistakes are kept.
    """

    keep: int = SAMPLES

    def __init__(self, gold: np.ndarray, names: Sequence[str], missing: Callable[[int], Sequence[str]], show: Show):
        self._gold, self._names, self._missing, self._show = gold > 0.5, list(names), missing, show
        self._counts = np.zeros((3, len(names)), np.int64)  # gold, predicted, correct
        self._right = self._total = 0
        self._loss = 0.0
        self._unseen: Counter[str] = Counter()
        self._wrong: list[dict[str, Any]] = []

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the probabilities of one block."""
        held = block.indices >= 0
        indices = block.indices[held]
        probability = np.asarray(outputs["probability"])[: block.steps][held]
        gold, found = self._gold[indices], probability >= 0.5
        self._loss += float(np.asarray(outputs["loss"])[: block.steps][held].astype(np.float64).sum())
        self._counts += np.stack([gold.sum(0), found.sum(0), (gold & found).sum(0)])
        self._total += len(indices)
        for index, wanted, got in zip(indices.tolist(), gold, found, strict=True):
            missing = self._missing(index)
            self._unseen.update(missing)
            if not missing and bool((wanted == got).all()):
                self._right += 1
            elif len(self._wrong) < self.keep:
                names = [*self._of(wanted), *missing]
                self._wrong.append(
                    {**self._show(index), "gold": ", ".join(names), "predicted": ", ".join(self._of(got))}
                )

    def _of(self, row: np.ndarray) -> list[str]:
        return [self._names[i] for i in np.flatnonzero(row)]

    def compute(self) -> Scores:
        """The scores so far; micro-F1 counts labels that the model lacks among the gold ones."""
        rows = [
            LabelRow(name, ratio(c, p), ratio(c, g), ratio(2 * c, g + p), g, p, c)
            for name, (g, p, c) in zip(self._names, self._counts.T.tolist(), strict=True)
            if g + p
        ] + [LabelRow(name, 0.0, 0.0, 0.0, count, 0, 0) for name, count in self._unseen.items()]
        gold, predicted, correct = (
            sum(getattr(row, name) for row in rows) for name in ("gold", "predicted", "correct")
        )
        values = {
            "micro_f1": ratio(2 * correct, gold + predicted),
            "macro_f1": ratio(sum(row.f1 for row in rows), len(rows)),
            "accuracy": ratio(self._right, self._total),
            "loss": self._loss / max(self._total, 1),
        }
        details: dict[str, Any] = {"labels": label_table(rows), "samples": self._wrong}
        return Scores(values, details | ({"unseen": dict(self._unseen)} if self._unseen else {}))


class ValueScorer:
    """Compares numbers: mean squared error, Pearson's and Spearman's correlation, the largest errors.

    Args:
        gold: the number of each example, [n].
        show: an example as the report shows it.

    Attributes:
        keep: how many mistakes are kept.
    """

    keep: int = SAMPLES

    def __init__(self, gold: np.ndarray, show: Show):
        self._gold, self._show = np.asarray(gold, np.float64), show
        self._indices: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the values of one block."""
        held = block.indices >= 0
        self._indices.append(block.indices[held])
        self._found.append(np.asarray(outputs["value"])[: block.steps][held].astype(np.float64))

    def compute(self) -> Scores:
        """The scores so far; a correlation with a constant is 0."""
        indices, found = np.concatenate(self._indices), np.concatenate(self._found)
        gold = self._gold[indices]
        error = float(np.mean((found - gold) ** 2))
        values = {
            "mean_squared_error": error,
            "pearson": _correlation(gold, found),
            "spearman": _correlation(_ranks(gold), _ranks(found)),
            "loss": error,
        }
        worst = np.argsort(-np.abs(found - gold), kind="stable")[: self.keep]
        samples = [
            {**self._show(int(indices[i])), "gold": f"{gold[i]:.4g}", "predicted": f"{found[i]:.4g}"} for i in worst
        ]
        return Scores(values, {"samples": samples})


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2.0)[inverse]
