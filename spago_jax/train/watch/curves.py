# SPDX-License-Identifier: BSD-2-Clause
"""Values as they come, sorted into charts: the loss of training and of the dev data together, all others alone."""

import math

Point = tuple[float, float]


class Curves:
    """Points by chart and line; at most ``most`` a line, thinned evenly as more come.

    >>> curves = Curves()
    >>> for name, value in {"loss": 2.0, "dev.loss": 3.0, "dev.f1": 0.5, "hidden": 1.0}.items():
    ...     curves.add(name, 10, value)
    >>> {chart: list(lines) for chart, lines in curves.charts.items()}
    {'loss': ['train', 'dev'], 'f1': ['dev'], 'hidden': ['train']}
    """

    def __init__(self, most: int = 500):
        self.charts: dict[str, dict[str, list[Point]]] = {}
        self._most = most

    def add(self, name: str, step: int, value: float) -> None:
        """Adds a point; one that is not finite is left out."""
        if not math.isfinite(value):
            return
        part, dot, rest = name.partition(".")
        chart, line = (rest, "dev") if dot and part == "dev" else (name, "train")
        points = self.charts.setdefault(chart, {}).setdefault(line, [])
        points.append((float(step), float(value)))
        if len(points) > self._most:
            del points[1:-1:2]
