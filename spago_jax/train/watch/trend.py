# SPDX-License-Identifier: BSD-2-Clause
"""The trend of a series: slope, mean, and whether it stalls, improves, converges, diverges or oscillates."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

STATES = ("stalled", "improving", "converged", "diverging", "oscillating")


class Trend:
    """A series ``y_0 ... y_{n-1}``, one value per epoch, and statistics of its last ``window`` values.

    A window of 0, or one longer than the series, means the whole series. Source of the statistics: goDl's
    ``graph.Trend``; ``diverging`` and ``oscillating`` were planned there.

    Args:
        values: the series.
        higher_is_better: the direction; goDl's series are losses, for which lower is better.

    >>> trend = Trend([5.0, 4.0, 3.0, 2.0, 1.0])
    >>> trend.slope(), trend.improving(), trend.stalled(tolerance=0.1), trend.latest
    (-1.0, True, False, 1.0)
    """

    def __init__(self, values: Sequence[float] = (), *, higher_is_better: bool = False):
        self.values = tuple(float(value) for value in values)
        self.higher_is_better = higher_is_better

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)

    def __repr__(self) -> str:
        return f"Trend({', '.join(f'{value:.6g}' for value in self.values)})"

    def last(self, window: int = 0) -> tuple[float, ...]:
        """Returns the last ``window`` values."""
        return self.values[-window:] if 0 < window < len(self.values) else self.values

    @property
    def latest(self) -> float:
        """The newest value; 0 for an empty series."""
        return self.values[-1] if self.values else 0.0

    @property
    def mean(self) -> float:
        """The mean; 0 for an empty series."""
        return math.fsum(self.values) / len(self.values) if self.values else 0.0

    @property
    def min(self) -> float:
        """The smallest value; 0 for an empty series."""
        return min(self.values, default=0.0)

    @property
    def max(self) -> float:
        """The largest value; 0 for an empty series."""
        return max(self.values, default=0.0)

    def slope(self, window: int = 0) -> float:
        """Returns the least-squares slope against ``x = 0 ... n-1``: ``(n Σxy - Σx Σy) / (n Σx² - (Σx)²)``.

        Returns 0 for fewer than two points.
        """
        ys = self.last(window)
        n = len(ys)
        if n < 2:
            return 0.0
        sum_x, sum_xx = n * (n - 1) // 2, (n - 1) * n * (2 * n - 1) // 6
        sum_xy = sum(x * y for x, y in enumerate(ys))
        return (n * sum_xy - sum_x * sum(ys)) / (n * sum_xx - sum_x**2)

    def stalled(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether ``|slope| < tolerance``; False for fewer than two points."""
        return len(self.last(window)) >= 2 and abs(self.slope(window)) < tolerance

    def improving(self, window: int = 0) -> bool:
        """Whether ``slope < 0``, or ``slope > 0`` if higher is better."""
        return self._backwards(window) < 0

    def converged(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether the population variance ``Σ(y - mean)² / n < tolerance``; False for fewer than two points."""
        ys = self.last(window)
        if len(ys) < 2:
            return False
        mean = sum(ys) / len(ys)
        return sum((y - mean) ** 2 for y in ys) / len(ys) < tolerance

    def diverging(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether it gets worse by more than ``tolerance`` per epoch, and its newest value is the worst of the window.

        Also True if the newest value is not finite; False for fewer than two points.

        >>> Trend([1.0, 1.1, 1.3]).diverging(), Trend([1.0, 3.0, 2.0]).diverging(), Trend([1.0, math.nan]).diverging()
        (True, False, True)
        """
        ys = self.last(window)
        if len(ys) < 2:
            return False
        if not math.isfinite(ys[-1]):
            return True
        worst = min(ys) if self.higher_is_better else max(ys)
        return self._backwards(window) > tolerance and ys[-1] == worst

    def oscillating(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether more than half of the steps reverse the step before, both by more than ``tolerance``.

        With ``d_i = y_{i+1} - y_i``: of the n - 2 pairs of neighbours, more than half have ``d_i d_{i+1} < 0`` and
        ``min(|d_i|, |d_{i+1}|) > tolerance``. False for fewer than four points.

        >>> Trend([5, 3, 5, 3, 5]).oscillating(), Trend([5, 4, 3, 2, 3]).oscillating()
        (True, False)
        """
        ys = self.last(window)
        if len(ys) < 4:
            return False
        steps = [after - before for before, after in itertools.pairwise(ys)]
        pairs = list(itertools.pairwise(steps))
        turns = sum(a * b < 0 and min(abs(a), abs(b)) > tolerance for a, b in pairs)
        return 2 * turns > len(pairs)

    def state(self, name: str, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether the series is in a state of ``STATES``, by name."""
        if name == "improving":
            return self.improving(window)
        return getattr(self, name)(window, tolerance)

    def _backwards(self, window: int) -> float:
        return -self.slope(window) if self.higher_is_better else self.slope(window)


class TrendGroup(dict[str, Trend]):
    """Trends by name. No ``all_*`` holds for an empty group, as in goDl's ``TrendGroup``.

    >>> group = TrendGroup({"a": Trend([0, 2, 4]), "b": Trend([0, 1, 2])})
    >>> group.slopes(), group.mean_slope(), group.any_improving()
    ({'a': 2.0, 'b': 1.0}, 1.5, False)
    """

    def __init__(self, trends: Mapping[str, Trend] | None = None):
        super().__init__(trends or {})

    def slopes(self, window: int = 0) -> dict[str, float]:
        """Returns the slope of each."""
        return {name: trend.slope(window) for name, trend in self.items()}

    def mean_slope(self, window: int = 0) -> float:
        """Returns the mean of the slopes; 0 for an empty group."""
        return sum(self.slopes(window).values()) / len(self) if self else 0.0

    def all(self, state: str, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether there are trends and each is in a state of ``STATES``."""
        return bool(self) and all(trend.state(state, window, tolerance) for trend in self.values())

    def any(self, state: str, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether one of them is in a state of ``STATES``."""
        return any(trend.state(state, window, tolerance) for trend in self.values())

    def all_improving(self, window: int = 0) -> bool:
        """Whether each improves."""
        return self.all("improving", window)

    def any_improving(self, window: int = 0) -> bool:
        """Whether one improves."""
        return self.any("improving", window)

    def all_stalled(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether each has stalled."""
        return self.all("stalled", window, tolerance)

    def any_stalled(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether one has stalled."""
        return self.any("stalled", window, tolerance)

    def all_converged(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether each has converged."""
        return self.all("converged", window, tolerance)

    def any_converged(self, window: int = 0, tolerance: float = 1e-3) -> bool:
        """Whether one has converged."""
        return self.any("converged", window, tolerance)
