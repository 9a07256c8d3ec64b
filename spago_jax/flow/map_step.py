# SPDX-License-Identifier: BSD-2-Clause
"""Map: a body that is applied to every element of a value."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array
from spago_jax.core.taps import mean_losses, retap, with_taps
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.flow.part import Context, Refs
from spago_jax.flow.shapes import shape_text
from spago_jax.flow.step import Frame, Step


@dataclasses.dataclass(frozen=True)
class Map(Step):
    """The body on every element of axis 0 (``each``), of a tagged value (``over``), or of slices of the last axis.

    An element keeps its axis: [n, ...] is handed on as [1, ...], and results are joined along axis 0. ``slices(k)``:
    [..., d] as rows of d / k, and back to [..., k * out]. Refs go unchanged to every element. A body without memory
    runs on all elements at once (``jax.vmap``), and one with memory on one after the other, as in goDl; ``batched``
    calls it once on the whole, for bodies whose rows do not depend on each other.
    """

    form: Literal["each", "over", "slices"] = "each"
    slices: int = 1
    batched: bool = False
    over: str = ""
    kind: ClassVar[str] = "map"
    box: ClassVar[str] = "map"

    def part_names(self) -> tuple[str, ...]:
        """The body."""
        return ("body",)

    def part_inputs(self, index: int, inputs: Sequence[Any], refs: Refs) -> tuple[tuple[Any, ...], Refs]:
        """One element, or all of them where it is called once."""
        rows = jax.eval_shape(self.rows, inputs[-1])
        if not self.batched:
            rows = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), rows)
        return (rows,), refs

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The joined results."""
        x = inputs[-1]
        rows = self.rows(x)
        if self.batched:
            y = self.run_part(frame, 0, (rows,), refs)
        else:
            y = self.elements(frame, rows, refs)
        if self.form != "slices":
            return y
        return y.reshape(*x.shape[:-1], -1)

    def rows(self, x: PyTree) -> PyTree:
        """The elements along axis 0.

        Raises:
            InputError: for a value without elements, or whose last axis cannot be cut.
        """
        leaves = jax.tree.leaves(x)
        if self.form != "slices":
            sizes = {leaf.shape[:1] for leaf in leaves}
            if len(sizes) != 1 or sizes & {(), (0,)}:
                raise InputError(f"map needs elements along axis 0, but it is given {shape_text(x)}")
            return x
        if x is not leaves[0] or len(x.shape) < 2 or x.shape[-1] % self.slices:
            raise InputError(
                f"map.slices({self.slices}) cuts the last axis into {self.slices} parts of one size, but it is given "
                f"{shape_text(x)}"
            )
        return x.reshape(-1, x.shape[-1] // self.slices)

    def elements(self, frame: Frame, rows: PyTree, refs: Refs) -> PyTree:
        """One call per element."""
        count = jax.tree.leaves(rows)[0].shape[0]
        indices = jnp.arange(count, dtype=jnp.int32)

        def one(row: PyTree, i: Array, memory: PyTree = None) -> PyTree:
            context = self.context_of(frame.context.at(i), i, count)
            return self.call_part(frame, 0, (jax.tree.map(lambda leaf: leaf[None], row),), refs, memory, context)

        memory = self.part_memory(frame, 0, jax.tree.map(lambda leaf: leaf[:1], rows), refs)
        if memory is None:
            body = with_taps(lambda row, i: one(row, i)[0])
            ys, taps = jax.vmap(body)(rows, indices)
        else:
            body = with_taps(lambda row, i, memory: one(row, i, memory))

            def iterate(memory: PyTree, element: PyTree) -> PyTree:
                (y, memory), taps = body(*element, memory)
                return memory, (y, taps)

            memory, (ys, taps) = lax.scan(iterate, memory, (rows, indices))
            self.keep_memory(frame, 0, memory)
        retap(self.name, mean_losses(taps))
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), ys)

    def context_of(self, context: Context, i: Array, count: int) -> Context:
        """The call's, with the length of the one sequence where the elements are sequences that have lengths."""
        if self.form == "slices" or context.lengths is None or jnp.shape(context.lengths)[:1] != (count,):
            return context
        return dataclasses.replace(context, lengths=jnp.asarray(context.lengths)[i][None])

    def to_config(self, parts: Sequence[Any]) -> Any:
        """``{map: {body, each or over or slices, batched}}``."""
        how: dict[str, Any] = {"each": True, "over": self.over, "slices": self.slices}
        made = {"body": parts[0], self.form: how[self.form]}
        return {"map": made | ({"batched": True} if self.batched else {})}

    def about(self) -> str:
        """Over what."""
        return f"{self.form} {self.slices}" if self.form == "slices" else self.form

    def part_arrows(self, index: int, sources: Sequence[str], ends: Sequence[str]) -> Sequence[str]:
        """The value that it goes over."""
        return sources[-1:]
