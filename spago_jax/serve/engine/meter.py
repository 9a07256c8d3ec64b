# SPDX-License-Identifier: BSD-2-Clause
"""Meter: what an engine tells about itself, to whoever counts it."""

from collections import Counter, defaultdict


class Meter:
    """Takes counts and measurements, and forgets them."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Adds to a counter."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Takes one measurement."""

    def level(self, name: str, value: float, **labels: str) -> None:
        """Takes the present value of something that rises and falls."""


class KeptMeter(Meter):
    """Keeps all that it is told, for tests and for reports at the end of a file.

    >>> meter = KeptMeter()
    >>> meter.count("rejected", reason="items")
    >>> meter.counts["rejected", "items"]
    1.0
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.values: defaultdict[tuple[str, ...], list[float]] = defaultdict(list)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Adds to a counter."""
        self.counts[name, *labels.values()] += float(amount)  # type: ignore[assignment]

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Keeps a measurement."""
        self.values[name, *labels.values()].append(value)
