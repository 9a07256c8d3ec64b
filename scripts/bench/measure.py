# SPDX-License-Identifier: BSD-2-Clause
"""Interleaved timing: the competitors take turns within one run, so that a busy machine slows them alike."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Times:
    """Seconds of each call."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)


def interleave(
    work: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int = 2, clock=time.perf_counter
) -> dict[str, Times]:
    """Calls each function once a round, in turn. Each must wait for its own result."""
    for function in work.values():
        for _ in range(warmup):
            function()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, function in work.items():
            start = clock()
            function()
            seconds[name].append(clock() - start)
    return {name: Times(tuple(values)) for name, values in seconds.items()}
