# SPDX-License-Identifier: BSD-2-Clause
"""The recurrent additive network."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array
from spago_jax.nn.recurrent.base import FusedCell, affine, gate_bias, gate_weights
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import float_dtype, matmul
from spago_jax.ops.lstm import LSTMState, lstm_zero_state
from spago_jax.ops.masks import length_mask
from spago_jax.ops.recurrence import scan_recurrence


class RAN(FusedCell):
    """Recurrent additive network: [..., time, in] -> [..., time, out] and the final state (hidden, cell).

        i = sigmoid(Wi x + bi + Wi' h),  f = sigmoid(Wf x + bf + Wf' h)
        c = i (Wc x + bc) + f c,  h = tanh(c)

    The fused arrays hold the blocks input, forget, candidate: ``input_weight`` [3 * out, in], ``bias`` [3 * out]; the
    candidate has no recurrence: ``recurrent_weight`` [2 * out, out]. Source: Lee, Levy and Zettlemoyer, "Recurrent
    additive networks" (2017); spaGO nn/recurrent/ran (whose v0.7.0 puts h in the place of the old c).

    >>> cell = RAN(input_weight=jnp.ones((3, 1)), recurrent_weight=jnp.ones((2, 1)), bias=jnp.zeros(3))
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3), np.asarray(state.cell).round(3)
    (array([0.624, 0.443], dtype=float32), array([0.476], dtype=float32))
    """

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, forget_bias: float = 1.0) -> "RAN":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block per gate), the forget gate's bias 1.

        Raises:
            InputError: for a size below 1.
        """
        inputs, recurrent = gate_weights("RAN", key, in_features, out_features, 3, 2)
        return cls(
            input_weight=inputs,
            recurrent_weight=recurrent,
            bias=gate_bias(out_features, 3, forget_bias),
        )

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> LSTMState:
        """Zeros; the cell in float32 at least."""
        dtype = float_dtype(dtype, self)
        return lstm_zero_state(lead, self.out_features, dtype)

    def project(self, xs: Array) -> tuple[Array, Array]:
        """The gates' inputs [..., 2 * out] and the candidate [..., out], in the accumulation dtype."""
        gates, candidate = jnp.split(affine(xs, self.input_weight, self.bias), [2 * self.out_features], axis=-1)
        return gates, candidate

    def recur(self, state: LSTMState) -> Array:
        """The recurrent product of both gates: [..., 2 * out]."""
        return matmul(state.hidden, self.recurrent_weight)

    def update(self, state: LSTMState, gates: Array, candidate: Array) -> tuple[LSTMState, Array]:
        """The elementwise half of a step, given the gates' pre-activations and the candidate."""
        i, f = jnp.split(fast_sigmoid(gates), 2, axis=-1)
        cell = (i * candidate + f * state.cell.astype(gates.dtype)).astype(state.cell.dtype)
        hidden = jnp.tanh(cell).astype(state.hidden.dtype)
        return LSTMState(hidden, cell), hidden

    def step(self, state: LSTMState, z: tuple[Array, Array]) -> tuple[LSTMState, Array]:
        """One step from a projected input."""
        gates, candidate = z
        return self.update(state, gates + self.recur(state), candidate)

    def importance(self, xs: Array, lengths: Array | None = None) -> Array:
        """How much each input weighs in each cell: [..., time, in], int[...] -> [..., time, time].

        The cell is a weighted sum of the candidates, ``c[t] = sum over k <= t of w[t, k] (Wc x[k] + bc)`` with
        ``w[t, k] = i[k] f[k + 1] ... f[t]``; the entry [t, k] is the largest number of ``w[t, k]``, zero for
        k > t and beyond the lengths. spaGO's ``Importance`` multiplies ``f[t]`` in once too often.
        """
        gates, _ = scan_recurrence(_Gates(self), xs, lengths=lengths)
        i, f = jnp.split(gates, 2, axis=-1)
        time = xs.shape[-2]
        if lengths is not None:  # padding keeps what is there; its own weight is zero
            f = jnp.where(length_mask(lengths, time)[..., None], f, jnp.ones((), f.dtype))

        def row(held: Array, inputs: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            at, i_now, f_now = inputs
            held = held * f_now[..., None, :]
            held = jnp.where(over(jnp.arange(time) == at, held[..., 0])[..., None], i_now[..., None, :], held)
            return held, jnp.max(held, axis=-1)

        start = jnp.zeros((*xs.shape[:-1], self.out_features), gates.dtype)
        steps = (jnp.arange(time), jnp.moveaxis(i, -2, 0), jnp.moveaxis(f, -2, 0))
        _, rows = jax.lax.scan(row, start, steps)
        rows = jnp.moveaxis(rows, 0, -2)
        if lengths is None:
            return rows
        return jnp.where(length_mask(lengths, time)[..., None], rows, jnp.zeros((), rows.dtype))


class _Gates:
    """The cell with its gates for outputs."""

    def __init__(self, cell: RAN):
        self.cell = cell
        self.initial_state, self.project = cell.initial_state, cell.project

    def step(self, state: LSTMState, z: tuple[Array, Array]) -> tuple[LSTMState, Array]:
        gates = z[0] + self.cell.recur(state)
        return self.cell.update(state, gates, z[1])[0], fast_sigmoid(gates)
