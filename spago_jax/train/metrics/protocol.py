# SPDX-License-Identifier: BSD-2-Clause
"""What a metric is: counts that can be added up, and what they come to."""

from typing import Any, Protocol, TypeVar

__all__ = ["Metric", "ratio"]

State = TypeVar("State")


class Metric(Protocol[State]):
    """Pure functions over a state of plain numbers: no state is changed, each call gives a new one.

    ``merge(update(a, x), b)`` is ``update(merge(a, b), x)``: parts of the data can be scored apart (on several
    devices or machines, or before and after a restart) and put together. States are dicts of numbers, which JSON
    can hold, or one NumPy array of integers (`TokenScores`: ``state.tolist()``).
    """

    def init(self) -> State:
        """The state of nothing seen."""
        ...

    def update(self, state: State, *args: Any, **kwargs: Any) -> State:
        """The state after some more examples."""
        ...

    def merge(self, a: State, b: State) -> State:
        """The state of both parts together."""
        ...

    def compute(self, state: State) -> dict[str, float]:
        """The scores by name."""
        ...


def ratio(part: float, whole: float) -> float:
    """part / whole, and 0 where there is nothing (spaGO's ``ClassMetrics`` meant to, but answers NaN).

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, 0.0)
    """
    return float(part / whole) if whole else 0.0
