# SPDX-License-Identifier: BSD-2-Clause
"""What compiled programs cost: operations, bytes, peak memory, compile time, one row per signature."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jax.stages import Compiled

from spago_jax.compiler.peaks import Peaks
from spago_jax.compiler.placement import count_collectives
from spago_jax.core.show import amount


@dataclasses.dataclass(frozen=True)
class Cost:
    """XLA's own estimate for one compiled signature; bytes, floating point operations and seconds."""

    inputs: str
    flops: float
    bytes_accessed: float
    argument_bytes: int
    output_bytes: int
    temporary_bytes: int
    peak_bytes: int
    donated_bytes: int
    compile_seconds: float
    reason: str
    collectives: dict[str, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, compiled: Compiled, inputs: str, seconds: float, reason: str, *, partitioned: bool = False) -> "Cost":
        """Reads the cost and memory analysis of a ``jax.stages.Compiled``; a backend may lack either.

        The collectives are counted where the program is ``partitioned`` over devices.
        """
        analysis = _asked(compiled.cost_analysis) or {}
        if isinstance(analysis, list | tuple):  # one a partition, in some versions
            analysis = analysis[0]
        memory = _asked(compiled.memory_analysis)

        def size(name: str) -> int:
            return int(getattr(memory, name, 0) or 0)

        # The temporaries are one allocation for the whole run, beside the arguments and the outputs. The peak that XLA
        # reports counts what is live at one time, and may be less than that; some backends report none.
        held = size("argument_size_in_bytes") + size("output_size_in_bytes") + size("temp_size_in_bytes")
        peak = max(size("peak_memory_in_bytes"), held - size("alias_size_in_bytes"))
        return cls(
            inputs=inputs,
            flops=float(analysis.get("flops", 0.0)),
            bytes_accessed=float(analysis.get("bytes accessed", 0.0)),
            argument_bytes=size("argument_size_in_bytes"),
            output_bytes=size("output_size_in_bytes"),
            temporary_bytes=size("temp_size_in_bytes"),
            peak_bytes=peak,
            donated_bytes=size("alias_size_in_bytes"),
            compile_seconds=seconds,
            reason=reason,
            collectives=count_collectives(text_of(compiled)) if partitioned else {},
        )


def text_of(compiled: Compiled) -> str:
    """Returns a program as XLA runs it; empty where the backend has no text of it."""
    return compiled.as_text() or ""


def _asked(question: Callable[[], Any]) -> Any:
    """Returns the answer, or None from a backend that has none."""
    try:
        return question()
    except (NotImplementedError, jax.errors.JaxRuntimeError):
        return None


@dataclasses.dataclass(frozen=True)
class Report:
    """The compiled signatures of a Program, how often it was traced, and why."""

    name: str
    traces: int
    frozen: bool
    costs: tuple[Cost, ...]
    peaks: Peaks | None = None
    not_reused: tuple[str, ...] = ()

    def __str__(self) -> str:
        state = "frozen" if self.frozen else "open"
        lines = [f"{self.name}: {len(self.costs)} compiled signature(s), {self.traces} trace(s), {state}"]
        if self.not_reused:
            lines.append(f"  donated, but no output can take it over: {', '.join(self.not_reused)}")
        for cost in self.costs:
            lines.append(
                f"  {cost.inputs}\n"
                f"    {amount(cost.flops, 'FLOP')}, {amount(cost.bytes_accessed, 'B')} moved, "
                f"peak {amount(cost.peak_bytes, 'B')} (arguments {amount(cost.argument_bytes, 'B')}, "
                f"temporaries {amount(cost.temporary_bytes, 'B')}, reused {amount(cost.donated_bytes, 'B')}), "
                f"compiled in {cost.compile_seconds:.2f} s: {cost.reason}"
            )
            if cost.collectives:
                lines.append("    collectives: " + ", ".join(f"{n} {kind}" for kind, n in cost.collectives.items()))
            if self.peaks is not None:
                lines.append("    " + roofline(cost, self.peaks))
        return "\n".join(lines)


def roofline(cost: Cost, peaks: Peaks) -> str:
    """What limits a program on this machine, and the least time that its work takes there."""
    intensity = cost.flops / max(cost.bytes_accessed, 1.0)
    balance = peaks.flops["float32"] / peaks.bytes
    bound = peaks.bound(cost.flops, cost.bytes_accessed)
    least = max(peaks.seconds(cost.flops, cost.bytes_accessed), peaks.call_seconds)
    return (
        f"{bound} bound: {intensity:.2g} FLOP a byte (this machine balances at {balance:.2g}), "
        f"at least {amount(least, 's')} a call"
    )
