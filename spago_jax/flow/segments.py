# SPDX-License-Identifier: BSD-2-Clause
"""A flow run piece by piece, each a compiled program: a step, or some iterations of a loop; it may stop in between."""

import dataclasses
import functools
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import jax

from spago_jax.core import Array
from spago_jax.core.taps import collect_taps
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.flow.network import Network
from spago_jax.flow.part import Context
from spago_jax.flow.step import Frame, Step


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How far a run came.

    Attributes:
        value: the output; of a run that was stopped, the output of the last segment: the state of a loop, say.
        reason: "finished", "timeout" or "cancelled".
        step: the name of the step that was last at work.
        iterations: how often each loop has run so far, by the name of its step.
        tags: the values of the tagged steps that are done.
        state: for the next call, of a flow with forward references that finished.
        seconds: wall time, compilation included.
    """

    value: PyTree
    reason: Literal["finished", "timeout", "cancelled"]
    step: str
    iterations: dict[str, Any]
    tags: dict[str, Any]
    state: PyTree
    seconds: float

    @property
    def finished(self) -> bool:
        """Whether ``value`` is the flow's output."""
        return self.reason == "finished"


@dataclasses.dataclass(frozen=True)
class Segment:
    """One compiled piece of a run: a step, or some iterations of its loop."""

    number: int
    step: Step
    value: PyTree
    iterations: int | Array | None
    done: bool


def run(
    net: Network,
    x: PyTree,
    state: PyTree = None,
    *,
    timeout: float | None = None,
    cancel: threading.Event | None = None,
    iterations: int = 16,
    **inputs: Any,
) -> Outcome:
    """Runs a flow within a limit of time, and gives back what it has when the limit is reached.

    XLA cannot be interrupted within a program, so the flow is run as several: each step is one, and a loop with a fixed
    or a bounded count is one for some iterations at a time. Between two of them the clock and ``cancel`` are looked at;
    a program that is running is waited for. ``net(x)`` is faster, and has gradients.

    Args:
        net: a built flow.
        x: its stream.
        state: of a flow with forward references.
        timeout: seconds of wall time; None: no limit.
        cancel: stops the run once it is set, by another thread.
        iterations: of a loop in one segment.
        inputs: the further inputs by name.

    Raises:
        InputError: for a limit that is not above 0, and as ``net(x)`` does.

    >>> from spago_jax import flow
    >>> net = flow.start().loop(lambda x: 2 * x).times(40).tag("doubled").build(jax.random.key(0), "f32[1]")
    >>> outcome = run(net, jnp.ones(1))
    >>> outcome.reason, float(outcome.value[0]) == 2.0**40, int(outcome.iterations["doubled"])
    ('finished', True, 40)
    """
    if timeout is not None and not timeout > 0:
        raise InputError(f"run: timeout is {timeout}, expected seconds above 0")
    if iterations < 1:
        raise InputError(f"run: iterations is {iterations}, expected at least 1")
    started = time.monotonic()
    counts: dict[str, Any] = {}
    tags: dict[str, Any] = {}
    value, name, reason, after = x, "", "finished", {}

    for segment, after in segments(net, x, state, iterations, inputs):  # noqa: B007
        value, name = segment.value, segment.step.name
        jax.block_until_ready(value)
        if segment.iterations is not None:
            counts[name] = segment.iterations
        if segment.done and segment.step.tag is not None:
            tags[segment.step.tag] = value
        if segment.done and segment.number == net.plan.output:
            break  # what is stopped after its last segment is finished
        if cancel is not None and cancel.is_set():
            reason = "cancelled"
        elif timeout is not None and time.monotonic() - started >= timeout:
            reason = "timeout"
        if reason != "finished":
            break
    state = after if reason == "finished" and net.plan.stateful else None
    return Outcome(value, reason, name, counts, tags, state, time.monotonic() - started)  # type: ignore[arg-type]


def segments(
    net: Network, x: PyTree, state: PyTree, iterations: int, inputs: Mapping[str, Any]
) -> Iterator[tuple[Segment, dict[str, Any]]]:
    """Runs a flow piece by piece: each segment, and what the call leaves in memory so far."""
    net.check_inputs(inputs)
    plan = net.plan
    memory = dict(net.initial_memory(x, inputs) or {}) if state is None else dict(state)
    after: dict[str, Any] = {}
    values: dict[int, Any] = {}
    for number in plan.order:
        step = plan.steps[number]
        read = [values[source] for source in step.sources] or [x]
        refs = [values[node] for _, node in step.refs]
        key, total, left = f"{step.name}:body", None, step.iterations
        own = _without(memory, key) if step.forgets else memory
        while True:
            length = min(iterations, left)
            piece = step.piece(length, first=total is None)
            read[0], kept, count = _run_piece(piece, net.layers, own, dict(inputs), read, refs)
            own, after, left = {**own, **kept}, after | kept, left - length
            if count is not None:
                total = count if total is None else total + count
            done = left == 0 or (count is not None and step.halted(count, length))
            values[number] = read[0]
            if done:
                if step.forgets:
                    after = _without(after, key)
                if step.tag in plan.state:
                    after[step.tag] = read[0]
            yield Segment(number, step, read[0], total, done), after
            if done:
                break


def _without(memory: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in memory.items() if name != key}


@functools.partial(jax.jit, static_argnums=0)
def _run_piece(
    step: Step, layers: PyTree, memory: PyTree, given: PyTree, inputs: PyTree, refs: PyTree
) -> tuple[Any, Any, Any]:
    frame = Frame(layers, memory, given, Context())
    tags = [tag for tag, _ in step.refs]
    with collect_taps() as found:
        y = step.run(frame, inputs, list(zip(tags, refs, strict=True)))
    return y, frame.after, found.get(f"{step.tag or step.name}.iterations")


def step_times(net: Network, x: PyTree, state: PyTree = None, *, rounds: int = 5, **inputs: Any) -> dict[str, float]:
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
    longest = max([1, *(step.iterations for step in net.plan.steps)])
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
