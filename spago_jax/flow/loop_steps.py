# SPDX-License-Identifier: BSD-2-Clause
"""Loops: a body that is applied to the running state a fixed number of times, or until a condition says so."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Self

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array
from spago_jax.core.taps import next_taps, retap, tap, with_taps, without_taps, zero_taps
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean
from spago_jax.flow.bounded import bounded_scan
from spago_jax.flow.part import Refs, shown
from spago_jax.flow.shapes import same_shape, shape_text
from spago_jax.flow.step import Frame, Step


@dataclasses.dataclass(frozen=True)
class LoopOptions:
    """How a loop runs; none of it changes its values.

    Attributes:
        unroll: iterations in one step of the compiled loop.
        remat: compute the body anew in the backward pass and keep nothing of it; loops that may halt always do.
        truncate: let no gradient flow back through more than this many iterations; None: through all.
        fresh: a body with memory starts from zeros at each call, and keeps none between calls.
        trace: record the state before the first and after each iteration, under ``TAG.trace``: True, a function of
            the state, or the tag of the body's own memory.
    """

    unroll: int = 1
    remat: bool = False
    truncate: int | None = None
    fresh: bool = False
    trace: bool | str | Callable[[Any], Any] = False


@dataclasses.dataclass(frozen=True)
class Loop(Step):
    """What all loops share: ``state = body(state, refs)``, again and again."""

    most: int = 1
    options: LoopOptions = LoopOptions()
    kind: ClassVar[str] = "loop"
    box: ClassVar[str] = "loop"

    def part_names(self) -> tuple[str, ...]:
        """A body, and for some a condition."""
        return ("body", "condition")[: len(self.parts)]

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """The condition sees the state alone."""
        return tuple(inputs), refs if index == 0 else ()

    def check(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> None:
        """The body gives back what it takes, a trace is there, and a condition keeps no memory."""
        for part, name in zip(self.parts, self.part_names(), strict=True):
            network = part.network(frame.layers)
            if name == "condition" and network is not None and network.plan.stateful:
                raise InputError(
                    "the condition of a loop is a flow with a forward reference, whose memory would start anew at each "
                    "look; keep what it remembers in the state of the loop"
                )
            tags = () if network is None else network.plan.state
            if name == "body" and isinstance(self.options.trace, str) and self.options.trace not in tags:
                raise InputError(
                    f"loop: trace is {self.options.trace!r}, which the body does not remember; "
                    f"{did_you_mean(self.options.trace, tags or ['none'], known='its memory')}"
                )
        new = self.once(frame, inputs[0], refs, self.first_memory(frame, inputs[0], refs), 0)[0]
        if not same_shape(new, inputs[0]):
            raise InputError(
                f"the body of a loop must give back what it takes, but it turns {shape_text(inputs[0])} into "
                f"{shape_text(new)}; put a layer that changes the shape before or after the loop"
            )

    # -- parts of a run --------------------------------------------------------------------------------------------

    def once(self, frame: Frame, state: PyTree, refs: Refs, memory: PyTree, i: int | Array) -> tuple[Any, Any]:
        """One iteration."""
        if self.options.truncate is not None:
            cut = jnp.asarray(i) % self.options.truncate == 0
            state = jax.tree.map(lambda s: jnp.where(cut, lax.stop_gradient(s), s), state)
        return self.call_part(frame, 0, (state,), refs, memory, frame.context.at(i))

    def begin(self, frame: Frame, state: PyTree, refs: Refs) -> tuple[Callable[..., Any], Any, dict[str, Any]]:
        """``body(state, memory, i) -> ((state, memory), taps)``, the first memory, and taps before any iteration."""
        memory = self.first_memory(frame, state, refs)
        body = with_taps(lambda state, memory, i: self.once(frame, state, refs, memory, i))
        taps = zero_taps(body, state, memory, jnp.int32(0))
        return body, memory, taps

    def halts(self, frame: Frame, state: PyTree) -> Array:
        """``cond(state)``."""
        return jnp.asarray(self.call_part(frame, 1, (state,), (), None, frame.context)[0])

    def first_memory(self, frame: Frame, state: PyTree, refs: Refs) -> PyTree:
        """The memory of the body before the first iteration; None for a body without."""
        network = self.parts[0].network(frame.layers)
        if network is not None and self.options.fresh:
            return network.initial_memory(state, network.plan.inputs_from(refs))
        return self.part_memory(frame, 0, state, refs)

    def keep(self, frame: Frame, memory: PyTree) -> None:
        """Leaves the body's memory for the next call."""
        if not self.options.fresh:
            self.keep_memory(frame, 0, memory)

    def traced(self, state: PyTree, memory: PyTree) -> PyTree:
        """What is recorded of an iteration; None where nothing is asked for."""
        wanted = self.options.trace
        if wanted is False:
            return None
        if wanted is True:
            return state
        return memory[wanted] if isinstance(wanted, str) else wanted(state)

    def tap_trace(self, first: PyTree, rest: PyTree, count: int | Array) -> None:
        """Puts the trace before the first iteration in front of the others."""
        if self.options.trace is not False:
            whole = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
            tap(f"{self.tag or self.name}.trace", whole)
        tap(f"{self.tag or self.name}.iterations", count)

    # -- piece by piece, as data and as a picture ------------------------------------------------------------------

    @property
    def forgets(self) -> bool:
        """Whether the body starts from zeros at each call."""
        return self.options.fresh

    def to_config(self, parts: Sequence[Any]) -> Any:
        """``{loop: {body, how often, options}}``."""
        if callable(self.options.trace):
            raise InputError(
                f"loop: trace is {shown(self.options.trace)}, a function; YAML can say true or the name of a tag"
            )
        options = {
            field.name: getattr(self.options, field.name)
            for field in dataclasses.fields(LoopOptions)
            if getattr(self.options, field.name) != field.default
        }
        return {"loop": {"body": parts[0], **self.how_often(parts), **options}}

    @abc.abstractmethod
    def how_often(self, parts: Sequence[Any]) -> dict[str, Any]:
        """The keys of its data that say how often it runs."""

    def part_arrows(self, index: int, sources: Sequence[str], ends: Sequence[str]) -> Sequence[str]:
        """A condition looks at what the body puts out."""
        return ends[:1] if index == 1 else sources

    def some_iterations(self, length: int, **changes: Any) -> Self:
        """Some iterations as a loop of its own. A body with memory hands it from piece to piece, fresh or not."""
        options = dataclasses.replace(self.options, fresh=False, trace=False)
        return dataclasses.replace(self, most=length, options=options, **changes)


@dataclasses.dataclass(frozen=True)
class Times(Loop):
    """``most`` iterations: one ``lax.scan``."""

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The final state."""
        body, memory, taps = self.begin(frame, inputs[0], refs)
        if self.options.remat:
            body = jax.checkpoint(body)

        def iterate(carry: PyTree, i: Array) -> PyTree:
            state, memory, taps = carry
            (state, memory), now = body(state, memory, i)
            return (state, memory, next_taps(taps, now)), self.traced(state, memory)

        first = self.traced(inputs[0], memory)
        (state, memory, taps), rest = lax.scan(
            iterate, (inputs[0], memory, taps), jnp.arange(self.most, dtype=jnp.int32), unroll=self.options.unroll
        )
        self.keep(frame, memory)
        self.tap_trace(first, rest, jnp.int32(self.most))
        retap(self.name, taps)
        return state

    @property
    def iterations(self) -> int:
        """All of them."""
        return self.most

    def piece(self, length: int, *, first: bool) -> "Times":
        """Some iterations."""
        return self.some_iterations(length)

    def how_often(self, parts: Sequence[Any]) -> dict[str, Any]:
        """``times``."""
        return {"times": self.most}

    def about(self) -> str:
        """How often."""
        return f"{self.most} times"


@dataclasses.dataclass(frozen=True)
class Repeat(Loop):
    """At most ``most`` iterations: before each (``while_``) or after each (``until``) a condition may halt the loop.

    A halted loop keeps its state: the scan goes on to ``most`` without calling the body, so that the count may depend
    on the data and gradients still flow. ``per="batch"``: the first element of ``cond(state)`` decides for all.
    ``per="example"``: each row has its own element and halts on its own.
    """

    form: Literal["while", "until"] = "while"
    per: Literal["batch", "example"] = "batch"

    def check(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> None:
        """Also the condition has an element to read."""
        super().check(frame, inputs, refs)
        found = self.halts(frame, inputs[0])
        if found.size == 0:
            raise InputError(
                f"the condition of a loop gave {shape_text(found)}, which has no element to compare with 0"
            )
        if self.per == "example":
            rows_of(found, inputs[0])

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The final state."""
        body, memory, taps = self.begin(frame, inputs[0], refs)
        rows = jax.eval_shape(lambda x: self.stops(frame, x), inputs[0])

        def go(carry: PyTree, i: Array) -> PyTree:
            state, memory, taps, done, count = carry
            (new, later), now = body(state, memory, i)
            state, memory = keep_done(done, state, new), keep_done(done, memory, later)
            count = count + (~done).astype(jnp.int32)
            if self.form == "until":
                done = done | self.stops(frame, state)
            return state, memory, next_taps(taps, now), done, count

        def look(carry: PyTree) -> PyTree:
            state, memory, taps, done, count = carry
            return state, memory, taps, done | self.stops(frame, state), count

        first = self.traced(inputs[0], memory)
        done, count = jnp.zeros(rows.shape, bool), jnp.zeros(rows.shape, jnp.int32)
        (state, memory, taps, _, count), rest = bounded_scan(
            go,
            lambda carry: carry[3].all(),
            (inputs[0], memory, taps, done, count),
            self.most,
            look=look if self.form == "while" else lambda carry: carry,
            traced=lambda carry: self.traced(carry[0], carry[1]),
            unroll=self.options.unroll,
        )
        self.keep(frame, memory)
        self.tap_trace(first, rest, count)
        retap(self.name, taps)
        return state

    def stops(self, frame: Frame, state: PyTree) -> Array:
        """Whether the loop halts: bool[] for the batch, or one for each row; nothing is learned from it."""
        found = without_taps(self.halts)(frame, state)
        return found.reshape(-1)[0] > 0 if self.per == "batch" else rows_of(found, state) > 0

    @property
    def iterations(self) -> int:
        """At most."""
        return self.most

    def piece(self, length: int, *, first: bool) -> "Repeat":
        """Some iterations.

        What comes after the first piece of an ``until`` is a ``while_``: its condition is then looked at before each
        iteration, which is after the one before.
        """
        return self.some_iterations(length) if first else self.some_iterations(length, form="while")

    def halted(self, count: Array, length: int) -> bool:
        """Whether each row, or the batch, stopped before the end of the piece."""
        return bool((count < length).all())

    def how_often(self, parts: Sequence[Any]) -> dict[str, Any]:
        """The condition, ``most`` and ``per``."""
        return {self.form: parts[1], "most": self.most, "per": self.per}

    def about(self) -> str:
        """How often, and for whom."""
        return f"{self.form}, at most {self.most}" + (", row by row" if self.per == "example" else "")


def rows_of(found: PyTree, state: PyTree) -> PyTree:
    """One number for each row of a state: ``cond(state)`` [rows] or [rows, 1], for a state [rows, features].

    Raises:
        InputError: where the shape does not say which row an element belongs to.
    """
    leaf = jax.tree.leaves(state)[0]
    lead = tuple(found.shape)
    if len(lead) == leaf.ndim and lead[-1] == 1:
        lead = lead[:-1]
    if not 0 < len(lead) < max(leaf.ndim, 2) or lead != tuple(leaf.shape[: len(lead)]):
        raise InputError(
            f'per="example" needs one number per row: cond(state) gave {shape_text(found)} for a state '
            f"{shape_text(leaf)}; expected a shape like {list(leaf.shape[:-1])} or {[*leaf.shape[:-1], 1]}"
        )
    return found.reshape(lead) if hasattr(found, "reshape") else found


def keep_done(done: Array, old: PyTree, new: PyTree) -> PyTree:
    """The old value for rows that have halted. What has no such rows (a counter) moves on with the loop."""
    if done.ndim == 0:
        return new  # the whole batch: a halted loop does not come here

    def one(before: Array, after: Array) -> Array:
        if tuple(after.shape[: done.ndim]) != tuple(done.shape):
            return after
        return jnp.where(done.reshape(done.shape + (1,) * (after.ndim - done.ndim)), before, after)

    return jax.tree.map(one, old, new)
