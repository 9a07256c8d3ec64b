# SPDX-License-Identifier: BSD-2-Clause
"""The protocol of metrics: states that can be merged, and the scores computed from them."""

from typing import Any, Protocol, TypeVar

__all__ = ["Metric", "ratio"]

State = TypeVar("State")


class Metric(Protocol[State]):
    """Pure functions over a state of plain numbers: each call returns a new state and changes none.

    ``merge(update(a, x), b)`` is ``update(merge(a, b), x)``: parts of the data can be scored separately (on
    several devices or machines, or before and after a restart) and merged. States are dicts of numbers, which
    JSON can hold, or one NumPy array of integers (`TokenScores`: ``state.tolist()``).
    """

    def init(self) -> State:
        """Returns the empty state."""
        ...

    def update(self, state: State, *args: Any, **kwargs: Any) -> State:
        """Returns the state after some more examples."""
        ...

    def merge(self, a: State, b: State) -> State:
        """Returns the state of both parts together."""
        ...

    def compute(self, state: State) -> dict[str, float]:
        """Returns the scores by name."""
        ...


def ratio(part: float, whole: float) -> float:
    """Returns part / whole, or 0 if both are 0 (spaGO's ``ClassMetrics`` returns NaN there, against its intent).

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, 0.0)
    """
    return float(part / whole) if whole else 0.0
