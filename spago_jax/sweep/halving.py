# SPDX-License-Identifier: BSD-2-Clause
"""Successive halving: how many trials each rung has, for how many epochs, and which of them go on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spago_jax.sweep.schema import Halving
from spago_jax.train.task import Score


class Rung(NamedTuple):
    """How many trials are trained until they have had so many epochs."""

    trials: int
    epochs: int


def rungs(method: Halving) -> list[Rung]:
    """The rungs: rung i has n_i = floor(n / eta^i) trials, each with r_i = min(r eta^i, R) epochs in all.

    n is `trials`, r `min_epochs`, R `max_epochs`. The last rung is the first with R epochs; a trial that is left alone
    before that goes there at once, for there is nothing left to choose.

    Source: Jamieson and Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
    algorithm 1 (eta = 2), in the form of Li et al. 2018, "Hyperband", algorithm 1.

    >>> rungs(Halving(trials=81, eta=3, min_epochs=1, max_epochs=81))[:2]
    [Rung(trials=81, epochs=1), Rung(trials=27, epochs=3)]
    """
    found: list[Rung] = []
    count, epochs = method.trials, method.min_epochs
    while True:
        last = count <= 1 or epochs >= method.max_epochs
        found.append(Rung(max(count, 1), method.max_epochs if last else epochs))
        if last:
            return found
        count, epochs = count // method.eta, epochs * method.eta


def survivors(scores: Mapping[int, float | None], count: int, metric: Score) -> list[int]:
    """The numbers of the `count` best trials, by number; those without a score are never among them.

    Of equal scores the earlier trial's is the better one.

    >>> survivors({1: 0.5, 2: None, 3: 0.9, 4: 0.9, 5: 0.7}, 2, Score("f1", "max"))
    [3, 4]
    """
    return sorted(ranked(scores, metric)[:count])


def ranked(scores: Mapping[int, float | None], metric: Score) -> Sequence[int]:
    """The numbers of the trials that have a score, best first."""
    sign = -1.0 if metric.better == "max" else 1.0
    return [number for _, number in sorted((sign * s, number) for number, s in scores.items() if s is not None)]
