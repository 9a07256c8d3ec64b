# SPDX-License-Identifier: BSD-2-Clause
"""Switch: one branch runs, chosen by a selector, for the whole batch or for each row."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.core
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array
from spago_jax.core.taps import retap, tap, with_taps
from spago_jax.errors import InputError
from spago_jax.flow.gate_step import same_outputs
from spago_jax.flow.part import Refs
from spago_jax.flow.shapes import shape_text
from spago_jax.flow.step import Step

if TYPE_CHECKING:
    from spago_jax.flow.frame import Frame


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

    def part_names(self) -> tuple[str, ...]:
        """The selector, then the branches."""
        return ("selector", *(f"branch_{i}" for i in range(len(self.parts) - 1)))

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """Refs go to the selector."""
        return tuple(inputs), refs if index == 0 else ()

    def check(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> None:
        """An index to read, and branches of one shape."""
        found = jnp.asarray(frame.run(self, 0, inputs, refs))
        if found.size == 0:
            raise InputError(f"the selector gives {shape_text(found)}, which has no element to choose by")
        if self.per == "example":
            row_indices(found, inputs[0])
        same_outputs(self, frame, inputs, range(1, len(self.parts)), "branches")

    def execute(self, frame: "Frame", inputs: Sequence[Any], refs: Refs) -> Any:
        """The chosen branch's output."""
        selected = lax.stop_gradient(jnp.asarray(frame.run(self, 0, inputs, refs)))
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
                raise self.place.error(f"{self}: the selector chose branch {value}, valid range [0, {count})")

    def one_branch(self, frame: "Frame", inputs: Sequence[Any], index: Array, count: int) -> Any:
        """``lax.switch``; the memory of every branch goes in and out, changed for the chosen one alone."""
        memories = tuple(self.memory(frame, inputs, i) for i in range(1, count + 1))
        bodies = [
            with_taps(lambda x, memories, i=i: frame.call(self, i, x, (), memories[i - 1], frame.context))
            for i in range(1, count + 1)
        ]
        shapes = [jax.eval_shape(body, tuple(inputs), memories)[1] for body in bodies]

        def branch(i: int):
            def run(x: Any, memories: Any) -> Any:
                (y, memory), taps = bodies[i](x, memories)
                zeros = [jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape) for shape in shapes]
                return y, (*memories[:i], memory, *memories[i + 1 :]), (*zeros[:i], taps, *zeros[i + 1 :])

            return run

        y, memories, taps = lax.switch(index, [branch(i) for i in range(count)], tuple(inputs), memories)
        for i in range(count):
            self.keep(frame, i + 1, memories[i])
            retap(f"{self.name}/branch_{i}", taps[i])
        return y

    def branch_by_row(self, frame: "Frame", inputs: Sequence[Any], index: Array, count: int) -> Any:
        """Every branch that some row chose, on those rows; the others are handed a copy of one that did."""
        total: Any = None
        for i in range(count):
            mine = index == i
            body = with_taps(lambda x, memory, i=i: frame.call(self, i + 1, x, (), memory, frame.context))
            memory = self.memory(frame, inputs, i + 1)
            shape = jax.eval_shape(body, tuple(inputs), memory)

            def run(x: Any, memory: Any, mine: Array = mine, body: Any = body) -> Any:
                return body(jax.tree.map(lambda leaf: _only(mine, leaf), x), memory)

            def skip(x: Any, memory: Any, shape: Any = shape) -> Any:
                (y, _), taps = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape)
                return (y, memory), taps

            (y, memory), taps = lax.cond(mine.any(), run, skip, tuple(inputs), memory)
            self.keep(frame, i + 1, memory)
            retap(f"{self.name}/branch_{i}", taps)
            y = jax.tree.map(lambda leaf, mine=mine: jnp.where(_wide(mine, leaf), leaf, jnp.zeros((), leaf.dtype)), y)
            total = y if total is None else jax.tree.map(jnp.add, total, y)
        return total

    def memory(self, frame: "Frame", inputs: Sequence[Any], index: int) -> Any:
        """The memory of a branch that is a flow; None for others."""
        part = self.parts[index]
        if not getattr(part, "network", False):
            return None
        kept = frame.memory.get(f"{self.name}:{self.part_names()[index]}")
        return part.target(frame.layers).initial_memory(inputs[0], {}) if kept is None else kept

    def keep(self, frame: "Frame", index: int, memory: Any) -> None:
        """Leaves a branch's memory for the next call."""
        if memory is not None:
            frame.after[f"{self.name}:{self.part_names()[index]}"] = memory


def row_indices(found: Any, x: Any) -> Any:
    """The first element of each row: [rows], [rows, 1] or [rows, k] -> [rows].

    Raises:
        InputError: where the selector does not give a row for each of the stream's.
    """
    leaf = jax.tree.leaves(x)[0]
    if not found.shape or not leaf.shape or found.shape[0] != leaf.shape[0]:
        raise InputError(
            f'per="example" needs one index for each row: the selector gave {shape_text(found)} for {shape_text(leaf)}'
        )
    return found.reshape(found.shape[0], -1)[:, 0] if hasattr(found, "reshape") else found


def _whole(selected: Array) -> Array:
    """Cut towards zero; NaN, of which XLA would make 0, is no branch."""
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
