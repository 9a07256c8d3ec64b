# SPDX-License-Identifier: BSD-2-Clause
"""How long each step of a flow takes, each measured as a program of its own."""

import statistics
import time
from typing import Any

import jax

from spago_jax.errors import InputError
from spago_jax.flow.network import Network
from spago_jax.flow.segments import segments


def step_times(net: Network, x: Any, state: Any = None, *, rounds: int = 5, **inputs: Any) -> dict[str, float]:
    """Seconds of each step by its name: the median of some rounds, after one that compiles.

    Steps are run one by one, so their sum is more than what ``net(x)`` takes as one program; they tell where the time
    goes. A loop is measured with all its iterations.

    Args:
        net: a built flow.
        x: its stream.
        state: of a flow with forward references.
        rounds: how often each step is measured.
        inputs: the further inputs by name.

    Raises:
        InputError: for fewer than one round.
    """
    if rounds < 1:
        raise InputError(f"step_times: rounds is {rounds}, expected at least 1")
    longest = max([getattr(step, "most", 1) for step in net.plan.steps], default=1)
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        before = time.perf_counter()
        for segment, _ in segments(net, x, state, longest, inputs):
            jax.block_until_ready(segment.value)
            now = time.perf_counter()
            if number:
                found.setdefault(segment.step.name, []).append(now - before)
            before = now
    return {name: statistics.median(times) for name, times in found.items()}
