# SPDX-License-Identifier: BSD-2-Clause
"""The state of the loop beside its arrays: the loss window, the best score, the remaining patience."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from spago_jax.errors import InputError, TrainingError
from spago_jax.train.task import Score


@dataclasses.dataclass
class History:
    """Plain numbers, saved in every checkpoint as JSON, so that a resumed run continues with them.

    Attributes:
        window_loss, window_weight, window_norm, window_steps: sums since the last line of the log.
        metric, better: the name and the direction of the score that ``best_score`` is a value of.
        best_score, best_step: the best dev score, and where it was reached.
        min_delta: how much better a score had to be.
        evaluations_without_gain: how many there were since the best one.
        stopped: what ended training before its last epoch: ``patience``, an ``action``, or nothing (empty).
    """

    window_loss: float = 0.0
    window_weight: float = 0.0
    window_norm: float = 0.0
    window_steps: int = 0
    metric: str | None = None
    better: Literal["max", "min"] | None = None
    best_score: float | None = None
    best_step: int | None = None
    min_delta: float = 0.0
    evaluations_without_gain: int = 0
    stopped: Literal["", "patience", "action"] = ""

    def to_json(self) -> dict[str, Any]:
        """Returns all fields as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "History":
        """The inverse of ``to_json``; takes what versions up to 0.1 wrote too."""
        value = dict(value)
        if value.pop("finished", False):
            value["stopped"] = "patience"
        return cls(**value)

    @property
    def finished(self) -> bool:
        """Whether training has ended before its last epoch."""
        return bool(self.stopped)

    def add(self, totals: Mapping[str, Any], steps: int, advice: str, place: str | None = None) -> None:
        """Adds the sums of one call of the train program.

        Args:
            totals: the sums.
            steps: the number of steps they are summed over.
            advice: what to say about the last checkpoint, for the error.
            place: the first non-finite value of the bad step; None if that was not watched.

        Raises:
            TrainingError: when the loss or gradient of a step was not finite; names the step and the place.
        """
        bad = int(totals["bad_step"])
        if bad >= 0:
            first = f": the first value that is not finite is {place}" if place else ""
            hint = "" if place else " With train.watch: {locate: modules} this line names where in the model it began."
            raise TrainingError(
                f"the loss or its gradient is not finite at step {bad}{first}. {advice} "
                f"Try a lower optimizer.learning_rate, a warm-up, or optimizer.clip_norm.{hint}"
            )
        self.window_loss += float(totals["loss"])
        self.window_weight += float(totals["weight"])
        self.window_norm += float(totals["gradient_norm"])
        self.window_steps += steps

    def close_window(self) -> dict[str, float]:
        """Returns the mean loss and gradient norm since the last line of the log, and starts a new window."""
        line = {
            "loss": self.window_loss / max(self.window_weight, 1e-8),
            "gradient_norm": self.window_norm / max(self.window_steps, 1),
        }
        self.window_loss = self.window_weight = self.window_norm = 0.0
        self.window_steps = 0
        return line

    def go_on(
        self, records: Iterable[Mapping[str, Any]], metric: Score, patience: int | None, min_delta: float
    ) -> None:
        """Takes the rules of a resumed run, which may have another patience than before.

        Args:
            records: the dev scores so far, the oldest first, as in ``metrics.jsonl``.
            metric: the score that counts.
            patience: evaluations without gain before training stops; None to go on whatever they are.
            min_delta: how much better counts as better.

        Raises:
            InputError: when the best score so far is that of another metric.
        """
        if self.metric not in (None, metric.name) or self.better not in (None, metric.better):
            raise InputError(
                f"cannot resume: the best score so far is of {self.metric}, and train.metric {metric.name}"
            )
        self.metric, self.better = metric.name, metric.better
        if min_delta != self.min_delta:
            self.best_score, self.best_step, self.evaluations_without_gain, self.min_delta = None, None, 0, min_delta
            for record in records:
                value = record.get(metric.name)
                self.judge(math.nan if value is None else value, record["step"], metric, min_delta)
        if self.stopped == "patience" and (patience is None or self.evaluations_without_gain < patience):
            self.stopped = ""

    def judge(self, score: float, step: int, metric: Score, min_delta: float) -> bool:
        """Takes a dev score; returns whether it is the best so far."""
        if metric.improves(score, self.best_score, min_delta):
            self.best_score, self.best_step = score, step
            self.evaluations_without_gain = 0
            return True
        self.evaluations_without_gain += 1
        return False
