# SPDX-License-Identifier: BSD-2-Clause
"""Accuracy, macro-F1, confusions and sample mistakes of a classifier."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spago_jax.train.details import SAMPLES, UNSEEN, confusion_table, label_table
from spago_jax.train.metrics.token_scores import TokenScores
from spago_jax.train.task import Scores


class ClassScorer:
    """Compares predicted with gold classes, one an example.

    Args:
        gold: the class of each example, [n]; -1 for a class that training never saw.
        names: the classes.
        show: an example as text, for the report's samples.
    """

    def __init__(self, gold: np.ndarray, names: Sequence[str], show: Callable[[int], Any]):
        self._gold, self._names, self._show = gold, list(names), show
        # A class that training never saw is one of its own, so that it counts as missed.
        self._metric = TokenScores((*self._names, UNSEEN))
        self._state = self._metric.init()
        self._loss, self._known = 0.0, 0
        self._wrong: list[dict[str, Any]] = []

    def update(self, block: Any, outputs: Any) -> None:
        """Takes the predictions of one block."""
        indices = block.indices
        held = indices >= 0
        found = np.asarray(outputs["class"])[: block.steps][held]
        gold = self._gold[indices[held]]
        losses = np.asarray(outputs["loss"], np.float64)[: block.steps][held]
        self._loss += float(losses[gold >= 0].sum())  # of a class that the model does not have there is none
        self._known += int((gold >= 0).sum())
        self._state = self._metric.update(self._state, np.where(gold < 0, len(self._names), gold), found)
        for index, g, f in zip(indices[held], gold, found, strict=True):
            if g != f and len(self._wrong) < SAMPLES:
                gold_name = self._names[g] if g >= 0 else UNSEEN
                self._wrong.append({**self._show(int(index)), "gold": gold_name, "predicted": self._names[f]})

    def compute(self) -> Scores:
        """The scores so far."""
        values = self._metric.compute(self._state)
        details = {
            "labels": label_table(self._metric.rows(self._state)),
            "confusions": confusion_table(self._metric.labels, self._state),
            "samples": self._wrong,
        }
        scores = {name: values[name] for name in ("accuracy", "macro_f1")}
        return Scores({**scores, "loss": self._loss / max(self._known, 1)}, details)
