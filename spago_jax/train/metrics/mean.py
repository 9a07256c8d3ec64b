# SPDX-License-Identifier: BSD-2-Clause
"""A weighted mean of numbers, such as the loss."""

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from spago_jax.errors import InputError

__all__ = ["Mean", "MeanState"]


class MeanState(TypedDict):
    """The weighted sum, and the sum of weights."""

    total: float
    weight: float


class Mean:
    """sum_i w_i x_i / sum_i w_i, with plain sums in float64.

    (spaGO's ``MovingAvg`` has a factor 2 / count instead, which is not a mean.)

    >>> metric = Mean("loss")
    >>> metric.compute(metric.update(metric.init(), [1.0, 2.0], weight=[3, 1]))
    {'loss': 1.25}

    Args:
        name: the name of the mean among the scores.
    """

    def __init__(self, name: str = "mean"):
        self.name = name

    def init(self) -> MeanState:
        """Returns the empty state."""
        return {"total": 0.0, "weight": 0.0}

    def update(self, state: MeanState, values: ArrayLike, *, weight: ArrayLike = 1.0) -> MeanState:
        """Adds some numbers.

        Args:
            state: the sums so far.
            values: a number or an array of numbers.
            weight: one weight for all, or one per value.
        """
        numbers = np.asarray(values, np.float64)
        weights = np.broadcast_to(np.asarray(weight, np.float64), numbers.shape)
        return {
            "total": state["total"] + float((numbers * weights).sum()),
            "weight": state["weight"] + float(weights.sum()),
        }

    def merge(self, a: MeanState, b: MeanState) -> MeanState:
        """Returns the sums of both parts."""
        return {"total": a["total"] + b["total"], "weight": a["weight"] + b["weight"]}

    def compute(self, state: MeanState) -> dict[str, float]:
        """Returns the mean, under its name.

        Raises:
            InputError: the weights add up to 0.
        """
        if not state["weight"]:
            raise InputError(f"the mean {self.name!r} of nothing is not defined: no value was added")
        return {self.name: state["total"] / state["weight"]}
