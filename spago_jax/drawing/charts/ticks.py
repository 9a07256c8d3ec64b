# SPDX-License-Identifier: BSD-2-Clause
"""Axes: round tick values, and the way from a value to a place on the page."""

import dataclasses
import math
from collections.abc import Sequence


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values, about `count` of them, from at or below `low` to at or above `high`.

    >>> nice_ticks(0.13, 0.87)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> nice_ticks(0, 1234)
    [0.0, 500.0, 1000.0, 1500.0]
    """
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # also of values that differ by rounding alone
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / max(count - 1, 1)
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) + 0.0 for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round values for a logarithmic axis from `low` > 0 to `high`: of each decade 1, 2 and 5, or only 1.

    >>> log_ticks(0.03, 4)
    [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
    >>> log_ticks(1e-6, 1)
    [1e-06, 1e-05, 0.0001, 0.001, 0.01, 0.1, 1.0]
    """
    high = max(high, low * 1.01)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if math.log10(high / low) <= 3 else (1,)
    ticks = [float(f"{f}e{e}") for e in range(first, last + 1) for f in factors]
    start = max((i for i, t in enumerate(ticks) if t <= low * 1.0001), default=0)
    end = min((i for i, t in enumerate(ticks) if t >= high * 0.9999), default=len(ticks) - 1)
    return ticks[start : end + 1]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """The ticks as text, with as many decimals as tell them apart.

    >>> tick_texts([0.0, 0.25, 0.5]), tick_texts([0.0, 5000.0]), tick_texts([1e-6, 1e-5])
    (['0', '0.25', '0.5'], ['0', '5,000'], ['1e-06', '1e-05'])
    """
    return [f"{t:,.0f}" if t == round(t) and abs(t) >= 1000 else f"{t:.4g}" for t in ticks]


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps values in [low, high] to places in [start, end], in even steps or even ratios."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        if self.log:
            part = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)
