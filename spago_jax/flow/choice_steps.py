# SPDX-License-Identifier: BSD-2-Clause
"""Gate and switch: all experts run and a router weighs their outputs; or one branch runs, chosen by a selector."""

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.core
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array
from spago_jax.core.taps import retap, tap, with_taps
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.flow.part import Refs
from spago_jax.flow.shapes import same_shape, shape_text
from spago_jax.flow.step import Frame, Step


@dataclasses.dataclass(frozen=True)
class Gate(Step):
    """``y = sum_i w[..., i] expert_i(x)`` with ``w = router(x, refs)`` [..., experts], used as it is returned.

    Source: Jacobs et al., "Adaptive mixtures of local experts" (1991); goDl's Gate.
    """

    kind: ClassVar[str] = "gate"
    box: ClassVar[str] = "gate"
    join: ClassVar[str] = "weighted sum"

    def part_names(self) -> tuple[str, ...]:
        """The router, then the experts."""
        return ("router", *(f"expert_{i}" for i in range(len(self.parts) - 1)))

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """Refs go to the router."""
        return tuple(inputs), refs if index == 0 else ()

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The weighted sum."""
        weights = self.run_part(frame, 0, inputs, refs)
        total: PyTree = None
        for i in range(len(self.parts) - 1):
            weigh = functools.partial(operator.mul, weights[..., i : i + 1])
            weighed = jax.tree.map(weigh, self.run_part(frame, i + 1, inputs, ()))
            total = weighed if total is None else jax.tree.map(operator.add, total, weighed)
        return total

    def check(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> None:
        """A weight for each expert, and experts of one shape."""
        weights = self.run_part(frame, 0, inputs, refs)
        experts = len(self.parts) - 1
        if not weights.shape or weights.shape[-1] != experts:
            raise InputError(
                f"the router gives {shape_text(weights)}, expected {experts} weights along the last axis, one per "
                "expert"
            )
        same_outputs(self, frame, inputs, range(1, experts + 1), "experts")

    def to_config(self, parts: Sequence[Any]) -> Any:
        """``{gate: {router, experts}}``."""
        return {"gate": {"router": parts[0], "experts": list(parts[1:])}}


@dataclasses.dataclass(frozen=True)
class Switch(Step):
    """``y = branch_k(x)`` with ``k = int(first element of selector(x, refs))``, cut towards zero.

    ``per="batch"``: a real branch (``lax.switch``): what was not chosen does not run, and its parameters get gradients
    of zero; ``skip_unused`` keeps optimizers from moving them. ``per="example"``: the selector has a number for each
    row; a branch that no row chose does not run, and rows that chose another one do not reach it.

    The selector gets no gradient. An index that no branch has is an error where its value is known; in a compiled
    program, where JAX would take the nearest branch, the output is NaN, so that it cannot pass unseen.
    """

    per: Literal["batch", "example"] = "batch"
    kind: ClassVar[str] = "switch"
    box: ClassVar[str] = "switch"
    join: ClassVar[str] = "the chosen one"

    def part_names(self) -> tuple[str, ...]:
        """The selector, then the branches."""
        return ("selector", *(f"branch_{i}" for i in range(len(self.parts) - 1)))

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """Refs go to the selector."""
        return tuple(inputs), refs if index == 0 else ()

    def check(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> None:
        """An index to read, and branches of one shape."""
        found = jnp.asarray(self.run_part(frame, 0, inputs, refs))
        if found.size == 0:
            raise InputError(f"the selector gives {shape_text(found)}, which has no element to choose by")
        if self.per == "example":
            row_indices(found, inputs[0])
        same_outputs(self, frame, inputs, range(1, len(self.parts)), "branches")

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The chosen branch's output."""
        selected = lax.stop_gradient(jnp.asarray(self.run_part(frame, 0, inputs, refs)))
        count = len(self.parts) - 1
        if self.per == "batch":
            index = _whole(selected.reshape(-1)[0])
            self.refuse(index, count)
            y = self.one_branch(frame, inputs, jnp.clip(index, 0, count - 1), count)
        else:
            index = _whole(row_indices(selected, inputs[0]))
            self.refuse(index, count)
            y = self.branch_by_row(frame, inputs, index, count)
        tap(f"{self.tag or self.name}.index", index)
        known = (index >= 0) & (index < count)
        return jax.tree.map(lambda y: _nan_where_not(known, y), y)

    def refuse(self, index: Array, count: int) -> None:
        """Raises InputError for an index that no branch has, where its value is known."""
        if isinstance(index, jax.core.Tracer):
            return
        for value in jnp.ravel(index).tolist():
            if not 0 <= value < count:
                raise self.origin.error(f"{self}: the selector chose branch {value}, valid range [0, {count})")

    def one_branch(self, frame: Frame, inputs: Sequence[Any], index: Array, count: int) -> Any:
        """``lax.switch``; the memory of every branch goes in and out, changed for the chosen one alone."""
        memories = tuple(self.part_memory(frame, i, inputs[0]) for i in range(1, count + 1))
        bodies = [
            with_taps(lambda x, memories, i=i: self.call_part(frame, i, x, (), memories[i - 1], frame.context))
            for i in range(1, count + 1)
        ]
        shapes = [jax.eval_shape(body, tuple(inputs), memories)[1] for body in bodies]

        def branch(i: int):
            def run(x: PyTree, memories: PyTree) -> PyTree:
                (y, memory), taps = bodies[i](x, memories)
                zeros = [jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape) for shape in shapes]
                return y, (*memories[:i], memory, *memories[i + 1 :]), (*zeros[:i], taps, *zeros[i + 1 :])

            return run

        y, memories, taps = lax.switch(index, [branch(i) for i in range(count)], tuple(inputs), memories)
        for i in range(count):
            self.keep_memory(frame, i + 1, memories[i])
            retap(f"{self.name}/branch_{i}", taps[i])
        return y

    def branch_by_row(self, frame: Frame, inputs: Sequence[Any], index: Array, count: int) -> Any:
        """Every branch that some row chose, on those rows; the others are handed a copy of one that did."""
        total: PyTree = None
        for i in range(count):
            mine = index == i
            body = with_taps(lambda x, memory, i=i: self.call_part(frame, i + 1, x, (), memory, frame.context))
            memory = self.part_memory(frame, i + 1, inputs[0])
            shape = jax.eval_shape(body, tuple(inputs), memory)

            def run(x: PyTree, memory: PyTree, mine: Array = mine, body: Any = body) -> PyTree:
                return body(jax.tree.map(lambda leaf: _only(mine, leaf), x), memory)

            def skip(x: PyTree, memory: PyTree, shape: PyTree = shape) -> PyTree:
                (y, _), taps = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape)
                return (y, memory), taps

            (y, memory), taps = lax.cond(mine.any(), run, skip, tuple(inputs), memory)
            self.keep_memory(frame, i + 1, memory)
            retap(f"{self.name}/branch_{i}", taps)
            y = jax.tree.map(lambda leaf, mine=mine: jnp.where(_wide(mine, leaf), leaf, jnp.zeros((), leaf.dtype)), y)
            total = y if total is None else jax.tree.map(jnp.add, total, y)
        return total

    def exclusive_parts(self) -> tuple[Any, ...]:
        """The branches."""
        return self.parts[1:]

    def to_config(self, parts: Sequence[Any]) -> Any:
        """``{switch: {selector, branches, per}}``."""
        made = {"selector": parts[0], "branches": list(parts[1:])}
        return {"switch": made | ({"per": self.per} if self.per != "batch" else {})}

    def about(self) -> str:
        """Whether rows choose for themselves."""
        return "row by row" if self.per == "example" else ""


def row_indices(found: PyTree, x: PyTree) -> PyTree:
    """The first element of each row: [rows], [rows, 1] or [rows, k] -> [rows].

    Raises:
        InputError: where the selector does not give a row for each of the stream's.
    """
    leaf = jax.tree.leaves(x)[0]
    if not found.shape or not leaf.shape or found.shape[0] != leaf.shape[0]:
        raise InputError(
            f'per="example" needs one index per row: the selector gave {shape_text(found)} for {shape_text(leaf)}'
        )
    return found.reshape(found.shape[0], -1)[:, 0] if hasattr(found, "reshape") else found


def _whole(selected: Array) -> Array:
    """Cut towards zero; NaN, of which XLA would make 0, is not the index of a branch."""
    if jnp.issubdtype(selected.dtype, jnp.inexact):
        selected = jnp.where(jnp.isnan(selected), jnp.full((), -1, selected.dtype), selected)
    return selected.astype(jnp.int32)


def _wide(mask: Array, leaf: Array) -> Array:
    return mask.reshape(mask.shape + (1,) * (leaf.ndim - mask.ndim))


def _only(mine: Array, leaf: Array) -> Array:
    """Rows that chose another branch as copies of one that did: no value reaches a branch that was not meant for it."""
    return jnp.where(_wide(mine, leaf), leaf, leaf[jnp.argmax(mine)][None])


def _nan_where_not(known: Array, y: Array) -> Array:
    if not jnp.issubdtype(y.dtype, jnp.inexact):
        return y
    return jnp.where(_wide(known, y) if known.ndim else known, y, jnp.full((), jnp.nan, y.dtype))


def same_outputs(step: Step, frame: Frame, inputs: Sequence[Any], indices: Sequence[int], what: str) -> None:
    """Refuses parts whose outputs differ in shape or dtype. Raises InputError."""
    shapes = [step.run_part(frame, i, inputs, ()) for i in indices]
    for number, shape in enumerate(shapes):
        if not same_shape(shape, shapes[0]):
            raise InputError(
                f"the {what} must give one shape, but number 0 gives {shape_text(shapes[0])} and number {number} "
                f"{shape_text(shape)}"
            )
