# SPDX-License-Identifier: BSD-2-Clause
"""What this machine can do at most, measured: matrix products and memory traffic, and a call's own cost."""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core.show import amount
from spago_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Timing:
    """Seconds of several runs that were waited for, one after the other.

    >>> timing = Timing((0.003, 0.001, 0.002))
    >>> timing.median, timing.best
    (0.002, 0.001)
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        """The fastest run: the least disturbed by what else the machine did."""
        return min(self.seconds)

    def __str__(self) -> str:
        return f"median {amount(self.median, 's')}, best {amount(self.best, 's')} of {len(self.seconds)} runs"


def time_calls(
    function: Callable[..., Any],
    n: int = 10,
    *,
    warmup: int = 1,
    setup: Callable[[], tuple[Any, ...]] = tuple,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Times ``n`` calls, each waited for to the end: JAX returns before a result is computed.

    Args:
        function: what to time.
        n: how often.
        warmup: calls before, which are not counted.
        setup: makes the arguments of each call, outside of the time taken.
        clock: tells the seconds.
    """
    seconds = []
    for run in range(warmup + n):
        arguments = jax.block_until_ready(setup())
        start = clock()
        jax.block_until_ready(function(*arguments))
        if run >= warmup:
            seconds.append(clock() - start)
    return Timing(tuple(seconds))


def profile_calls(call: Callable[[], Any], folder: str | Path, n: int, name: str) -> Path:
    """Runs ``n`` calls under JAX's profiler after one that compiles, and returns the folder of the trace.

    Raises:
        InputError: if the folder cannot be written.
    """
    jax.block_until_ready(call())
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write the profile to {folder}: {error.strerror}") from None
    with jax.profiler.trace(str(path)):
        for step in range(n):
            with jax.profiler.StepTraceAnnotation(name, step_num=step):
                jax.block_until_ready(call())
    return path


@dataclasses.dataclass(frozen=True)
class Peaks:
    """The best that was measured on one device.

    Attributes:
        flops: floating point operations per second in a large matrix product, by dtype.
        bytes: bytes per second read and written by a large elementwise operation.
        call_seconds: of the smallest program there is.
    """

    flops: dict[str, float]
    bytes: float
    call_seconds: float

    def seconds(self, flops: float, moved: float, dtype: str = "float32") -> float:
        """Returns the least time for so much work: the roofline."""
        return max(flops / self.flops.get(dtype, self.flops["float32"]), moved / self.bytes)

    def bound(self, flops: float, moved: float, dtype: str = "float32") -> str:
        """What limits such a program: "compute", "memory", or "dispatch" where it is shorter than a call.

        Source: Williams, Waterman and Patterson (2009), "Roofline".

        >>> peaks = Peaks({"float32": 1e11}, 1e10, 1e-5)
        >>> peaks.bound(1e9, 1e6), peaks.bound(1e6, 1e7), peaks.bound(10, 10)
        ('compute', 'memory', 'dispatch')
        """
        if self.seconds(flops, moved, dtype) < self.call_seconds:
            return "dispatch"
        compute = flops / self.flops.get(dtype, self.flops["float32"])
        return "compute" if compute > moved / self.bytes else "memory"


@functools.cache
def measured_peaks(dtypes: Sequence[str] = ("float32", "bfloat16")) -> Peaks:
    """Measures the default device; a few seconds, once per process."""
    flops = {}
    for dtype in dtypes:
        size = 4096 if jax.default_backend() != "cpu" else 1024
        a = jnp.ones((size, size), dtype)
        product = jax.jit(lambda x: jnp.matmul(x, x, preferred_element_type=jnp.float32))
        flops[dtype] = 2.0 * size**3 / time_calls(functools.partial(product, a), 8, warmup=2).best
    numbers = jnp.ones((64 << 20) // 4, jnp.float32)  # larger than any cache
    add = jax.jit(lambda x: x + 1.0)
    moved = 2.0 * numbers.nbytes / time_calls(functools.partial(add, numbers), 6).best
    one = jnp.ones(())
    call = time_calls(functools.partial(add, one), 200).median
    return Peaks(flops, moved, call)
