# SPDX-License-Identifier: BSD-2-Clause
"""Several trends asked at once: all of them, any of them, their slopes."""

from collections.abc import Mapping

from spago_jax.train.watch.trend import Trend


class TrendGroup(dict[str, Trend]):
    """Trends by name. What is asked of all of an empty group is not so, as in goDl's ``TrendGroup``.

    >>> group = TrendGroup({"a": Trend([0, 2, 4]), "b": Trend([0, 1, 2])})
    >>> group.slopes(), group.mean_slope(), group.any_improving()
    ({'a': 2.0, 'b': 1.0}, 1.5, False)
    """

    def __init__(self, trends: Mapping[str, Trend] | None = None):
        super().__init__(trends or {})

    def slopes(self, window: int = 0) -> dict[str, float]:
        """The slope of each."""
        return {name: trend.slope(window) for name, trend in self.items()}

    def mean_slope(self, window: int = 0) -> float:
        """The mean of the slopes; 0 of an empty group."""
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
