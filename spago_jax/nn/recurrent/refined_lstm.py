# SPDX-License-Identifier: BSD-2-Clause
"""The LSTM with refined gates."""

import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array
from spago_jax.nn.recurrent.base import FusedCell, affine, gate_bias, gate_weights, same_features
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.linear import float_dtype, matmul
from spago_jax.ops.lstm import LSTMState, lstm_zero_state


class RefinedLSTM(FusedCell):
    """LSTM whose input and output gates are multiplied by the input: [..., time, features], kept, and the final state.

        i, f, g, o = W x + b + W' h          (the blocks of the fused arrays, in PyTorch's order)
        c = sigmoid(f) c + x sigmoid(i) tanh(g),  h = x sigmoid(o) tanh(c)

    ``input_weight`` and ``recurrent_weight`` [4 * features, features], ``bias`` [4 * features]. Source: Cheng, Xu,
    Cheng, Qiao, Pu, Niu and Wu, "Refined gate: a simple and effective gating mechanism for recurrent units" (2020);
    spaGO nn/recurrent/lstm with ``SetRefinedGates``.

    >>> cell = RefinedLSTM(jnp.ones((4, 1)), recurrent_weight=jnp.ones((4, 1)), bias=jnp.zeros(4))
    >>> ys, state = cell(jnp.array([[1.0], [2.0]]))
    >>> np.asarray(ys[:, 0]).round(3), np.asarray(state.cell).round(3)
    (array([0.37 , 1.793], dtype=float32), array([2.306], dtype=float32))
    """

    @classmethod
    def init(
        cls, key: Array, in_features: int, out_features: int | None = None, *, forget_bias: float = 1.0
    ) -> "RefinedLSTM":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block per gate), the forget gate's bias 1.

        Raises:
            InputError: for a size below 1, or an ``out_features`` that is not ``in_features``.
        """
        size = same_features("RefinedLSTM", "multiplies its gates by its input", in_features, out_features)
        inputs, recurrent = gate_weights("RefinedLSTM", key, size, size, 4)
        return cls(input_weight=inputs, recurrent_weight=recurrent, bias=gate_bias(size, 4, forget_bias))

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> LSTMState:
        """Zeros; the cell in float32 at least."""
        dtype = float_dtype(dtype, self)
        return lstm_zero_state(lead, self.out_features, dtype)

    def project(self, xs: Array) -> tuple[Array, Array]:
        """``W x + b`` [..., 4 * features] and the inputs themselves, in the accumulation dtype."""
        z = affine(xs, self.input_weight, self.bias)
        return z, jnp.asarray(xs, z.dtype)

    def recur(self, state: LSTMState) -> Array:
        """The recurrent product ``W' h``: [..., 4 * features]."""
        return matmul(state.hidden, self.recurrent_weight)

    def update(self, state: LSTMState, gates: Array, x: Array) -> tuple[LSTMState, Array]:
        """The elementwise half of a step, given all pre-activations and the input."""
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        cell = fast_sigmoid(f) * state.cell.astype(gates.dtype) + x * fast_sigmoid(i) * jnp.tanh(g)
        hidden = (x * fast_sigmoid(o) * jnp.tanh(cell)).astype(state.hidden.dtype)
        return LSTMState(hidden, cell.astype(state.cell.dtype)), hidden

    def step(self, state: LSTMState, z: tuple[Array, Array]) -> tuple[LSTMState, Array]:
        """One step from a projected input."""
        gates, x = z
        return self.update(state, gates + self.recur(state), x)
