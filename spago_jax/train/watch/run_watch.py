# SPDX-License-Identifier: BSD-2-Clause
"""The watch of an experiment: sums of the train program by epoch, dev scores beside them, and the history of both."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spago_jax.train.watch.measures import Measures
from spago_jax.train.watch.watch import Watch


class RunWatch:
    """Adds up what the train program returns, and flushes it once an epoch.

    Always there: ``loss`` (the mean over the epoch), ``gradient_norm``, ``learning_rate`` and, after an evaluation,
    ``dev.NAME`` of each score. With ``train.watch`` also what the measures hold. All of it is in the checkpoints.

    Args:
        measures: what the train program measures.
        higher_is_better: the dev scores of which more is better.
    """

    def __init__(self, measures: Measures, higher_is_better: Iterable[str] = ()):
        self.measures = measures
        self.history = Watch(higher_is_better=[f"dev.{name}" for name in higher_is_better])
        self._sums = np.zeros(len(measures.names))
        self._plain = {"loss": 0.0, "weight": 0.0, "gradient_norm": 0.0}
        self._steps = 0
        self._learning_rate = 0.0

    def add(self, totals: Mapping[str, Any], steps: int) -> None:
        """Adds the sums of one call, fetched from the device."""
        if self.measures.on:
            self._sums += np.asarray(totals["watch"], np.float64)
        for name in self._plain:
            self._plain[name] += float(totals[name])
        self._learning_rate = float(totals["learning_rate"])
        self._steps += steps

    def end_epoch(self, scores: Mapping[str, float] | None) -> dict[str, float]:
        """Flushes the epoch into the history.

        Args:
            scores: of the dev data, where they were computed.

        Returns:
            The means of the measures with those of loss, gradient norm and rate: a record for the log.
        """
        steps, plain = max(self._steps, 1), self._plain
        means = {
            "loss": plain["loss"] / max(plain["weight"], 1e-8),
            "gradient_norm": plain["gradient_norm"] / steps,
            "learning_rate": self._learning_rate,
        }
        watched = self._sums / steps
        roots = np.array(self.measures.roots, bool)
        watched[roots] = np.sqrt(watched[roots])
        means |= dict(zip(self.measures.names, watched.tolist(), strict=True))
        for name, value in means.items():
            self.history.record(name, value)
        for name, value in (scores or {}).items():
            self.history.record(f"dev.{name}", float(value))
        self.history.flush()
        self._sums[:] = 0.0
        self._plain = dict.fromkeys(plain, 0.0)
        self._steps = 0
        return means

    def names(self, scores: Iterable[str]) -> list[str]:
        """Every name that the history will have, before there is one."""
        return ["loss", "gradient_norm", "learning_rate", *self.measures.names, *(f"dev.{name}" for name in scores)]

    def to_json(self) -> dict[str, Any]:
        """The history and the sums of the epoch so far, by name, as JSON."""
        return {
            "history": self.history.to_json(),
            "sums": dict(zip(self.measures.names, self._sums.tolist(), strict=True)),
            "plain": self._plain,
            "steps": self._steps,
            "learning_rate": self._learning_rate,
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Takes up what ``to_json`` gave; what was not watched then begins with nothing."""
        self.history.restore(value["history"])
        self._sums = np.array([value["sums"].get(name, 0.0) for name in self.measures.names])
        self._plain = dict(value["plain"])
        self._steps = int(value["steps"])
        self._learning_rate = float(value["learning_rate"])
