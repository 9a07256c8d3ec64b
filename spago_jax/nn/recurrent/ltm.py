# SPDX-License-Identifier: BSD-2-Clause
"""The long-term memory network."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array
from spago_jax.core.initializers import blocks, xavier_uniform
from spago_jax.nn.recurrent.base import Recurrent, same_features
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.linear import float_dtype, matmul
from spago_jax.ops.lstm import LSTMState, lstm_zero_state


class LTM(Recurrent):
    """Long-term memory network: [..., time, features], kept, and the final state (hidden, cell).

        a, b, o = sigmoid(W (x + h))        (one block each)
        c = sigmoid(Wc (a b + c)),  h = c o

    ``weight`` [3 * features, features] in the blocks 1, 2, 3, ``cell_weight`` [features, features]; no biases.
    Source: Nugaliyadde, Wong, Sohel and Xie, "Language modeling through long term memory network" (2019); spaGO
    nn/recurrent/ltm.

    >>> cell = LTM(weight=jnp.ones((3, 1)), cell_weight=jnp.ones((1, 1)))
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3), np.asarray(state.cell).round(3)
    (array([0.461, 0.449], dtype=float32), array([0.732], dtype=float32))
    """

    weight: Array
    cell_weight: Array

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int | None = None) -> "LTM":
        """Xavier-uniform weights.

        Raises:
            InputError: for a size below 1, or an ``out_features`` that is not ``in_features``.
        """
        in_features = same_features("LTM", "adds its output to its input", in_features, out_features)
        gates, cell = jax.random.split(key)
        return cls(
            weight=blocks(gates, 3, lambda k: xavier_uniform(k, (in_features, in_features))),
            cell_weight=xavier_uniform(cell, (in_features, in_features)),
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.cell_weight.shape[0]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.cell_weight.shape[0]

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> LSTMState:
        """Zeros; the cell in float32 at least."""
        dtype = float_dtype(dtype, self)
        return lstm_zero_state(lead, self.out_features, dtype)

    def project(self, xs: Array) -> Array:
        """``W x``: [..., features] -> [..., 3 * features], in the accumulation dtype."""
        return matmul(xs, self.weight)

    def recur(self, state: LSTMState) -> Array:
        """``W h``, the same weight: [..., 3 * features]."""
        return matmul(state.hidden, self.weight)

    def step(self, state: LSTMState, z: Array) -> tuple[LSTMState, Array]:
        """One step from a projected input. The second product waits for the gates, so there is no single update."""
        a, b, o = jnp.split(fast_sigmoid(z + self.recur(state)), 3, axis=-1)
        candidate = (a * b + state.cell.astype(z.dtype)).astype(state.hidden.dtype)
        cell = fast_sigmoid(matmul(candidate, self.cell_weight)).astype(state.cell.dtype)
        hidden = (cell * o).astype(state.hidden.dtype)
        return LSTMState(hidden, cell), hidden
