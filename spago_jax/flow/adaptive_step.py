# SPDX-License-Identifier: BSD-2-Clause
"""Adaptive computation time: a loop whose number of iterations is learned, row by row."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.core.taps import add_loss, next_taps, retap, tap, without_taps
from spago_jax.core.tree import PyTree
from spago_jax.flow.bounded import bounded_scan
from spago_jax.flow.loop_steps import Loop, keep_done, rows_of
from spago_jax.flow.part import Refs
from spago_jax.flow.step import Frame
from spago_jax.ops.masks import length_mask


@dataclasses.dataclass(frozen=True)
class Adaptive(Loop):
    """``y = sum_n w_n s_n`` with ``s_n = body(s_(n-1))`` and ``h_n = sigmoid(halt(s_n))``, for each row.

    A row halts at the first N where ``h_1 + ... + h_N >= 1 - epsilon``, or at ``most``; w_n = h_n before, and the
    remainder ``R = 1 - (h_1 + ... + h_(N-1))`` at N. ``cost`` times the mean of ``N + R`` is tapped as the auxiliary
    loss ``loss:NAME``: it teaches the halting unit to be quick. Rows beyond the call's ``lengths`` take no part.

    Source: Graves, "Adaptive Computation Time for Recurrent Neural Networks" (2016).
    """

    epsilon: float = 0.01
    cost: float = 0.01

    def check(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> None:
        """Also a number for each row."""
        super().check(frame, inputs, refs)
        rows_of(self.halts(frame, inputs[0]), inputs[0])

    def execute(self, frame: Frame, inputs: Sequence[Any], refs: Refs) -> Any:
        """The weighted states."""
        body, memory, taps = self.begin(frame, inputs[0], refs)
        shape = jax.eval_shape(without_taps(lambda x: self.chance(frame, x)), inputs[0])
        real = self.real_rows(frame, shape)

        def go(carry: PyTree, i: Array) -> PyTree:
            state, memory, taps, total, spent, done, count = carry
            (new, later), now = body(state, memory, i)
            state, memory = keep_done(done, state, new), keep_done(done, memory, later)
            chance = self.chance(frame, state)
            last = (spent + chance >= 1.0 - self.epsilon) | (i + 1 == self.most)
            weight = jnp.where(done, 0.0, jnp.where(last, 1.0 - spent, chance))
            total = jax.tree.map(lambda t, s: t + (_wide(weight, s) * s).astype(t.dtype), total, state)
            # What a halted row has spent stays as it was before its last step: 1 - spent is its remainder.
            spent = jnp.where(done | last, spent, spent + chance)
            count = count + (~done).astype(jnp.int32)
            return state, memory, next_taps(taps, now), total, spent, done | last, count

        first = self.traced(inputs[0], memory)
        start = (
            inputs[0],
            memory,
            taps,
            jax.tree.map(jnp.zeros_like, inputs[0]),
            jnp.zeros(shape.shape, shape.dtype),
            ~real,
            jnp.zeros(shape.shape, jnp.int32),
        )
        (_, memory, taps, total, spent, _, count), rest = bounded_scan(
            go,
            lambda carry: carry[5].all(),
            start,
            self.most,
            traced=lambda carry: self.traced(carry[0], carry[1]),
            unroll=self.options.unroll,
        )
        self.keep(frame, memory)
        self.tap_trace(first, rest, count)
        retap(self.name, taps)
        rows = jnp.maximum(real.sum(), 1).astype(shape.dtype)
        ponder = jnp.where(real, count.astype(shape.dtype) + 1.0 - spent, 0.0).sum() / rows
        tap(f"{self.tag or self.name}.ponder", ponder)
        add_loss(self.name, self.cost * ponder)
        return total

    def chance(self, frame: Frame, state: PyTree) -> Array:
        """How much of a row's unit of thought this iteration takes, [rows]."""
        return jax.nn.sigmoid(rows_of(self.halts(frame, state), state))

    def real_rows(self, frame: Frame, shape: PyTree) -> Array:
        """Marks the rows that are not padding, for rows [..., time] and lengths [...]."""
        lengths = frame.context.lengths
        if lengths is None or tuple(jnp.shape(lengths)) != tuple(shape.shape[:-1]):
            return jnp.ones(shape.shape, bool)
        return length_mask(lengths, shape.shape[-1])

    def how_often(self, parts: Sequence[Any]) -> dict[str, Any]:
        """The halting unit, ``most``, ``epsilon`` and ``cost``."""
        return {"adaptive": parts[1], "most": self.most, "epsilon": self.epsilon, "cost": self.cost}

    def about(self) -> str:
        """How often."""
        return f"adaptive, at most {self.most}"


def _wide(rows: Array, state: Array) -> Array:
    return rows.reshape(rows.shape + (1,) * (state.ndim - rows.ndim))
