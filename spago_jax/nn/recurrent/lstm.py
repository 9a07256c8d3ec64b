# SPDX-License-Identifier: BSD-2-Clause
"""The LSTM layer."""

from jax.typing import DTypeLike

from spago_jax.core import Array
from spago_jax.nn.recurrent.base import FusedCell, gate_bias, gate_weights
from spago_jax.ops.linear import float_dtype, matmul
from spago_jax.ops.lstm import LSTMState, lstm_scan, lstm_update, lstm_zero_state


class LSTM(FusedCell):
    """Long short-term memory: [..., time, in] -> [..., time, out] and the final state.

        i, f, g, o = W x + b + W' h          (the blocks of the fused arrays, in PyTorch's order)
        c = sigmoid(f) c + sigmoid(i) tanh(g),  h = sigmoid(o) tanh(c)

    ``input_weight`` [4 * out, in], ``recurrent_weight`` [4 * out, out], ``bias`` [4 * out]. PyTorch's two biases
    act as their sum. On NVIDIA GPUs cuDNN's LSTM is taken where it fits (``ops.lstm_cudnn``). Source: Hochreiter and
    Schmidhuber (1997), Gers et al. (2000); spaGO nn/recurrent/lstm.

    >>> lstm = LSTM.init(jax.random.key(0), 3, 2)
    >>> ys, state = lstm(jnp.ones((5, 3)))
    >>> ys.shape, bool((ys[-1] == state.hidden).all())
    ((5, 2), True)
    """

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, forget_bias: float = 1.0) -> "LSTM":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block per gate), the forget gate's bias 1.

        Raises:
            InputError: for a size below 1.
        """
        inputs, recurrent = gate_weights("LSTM", key, in_features, out_features, 4)
        return cls(
            input_weight=inputs,
            recurrent_weight=recurrent,
            bias=gate_bias(out_features, 4, forget_bias),
        )

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> LSTMState:
        """Zeros; the cell in float32 at least."""
        dtype = float_dtype(dtype, self)
        return lstm_zero_state(lead, self.out_features, dtype)

    def recur(self, state: LSTMState) -> Array:
        """The recurrent product ``W' h``: [..., 4 * out]."""
        return matmul(state.hidden, self.recurrent_weight)

    def update(self, state: LSTMState, gates: Array) -> tuple[LSTMState, Array]:
        """The elementwise half of a step, given all pre-activations."""
        new = lstm_update(gates, state)
        return new, new.hidden

    def step(self, state: LSTMState, z: Array) -> tuple[LSTMState, Array]:
        """One step from a projected input [..., 4 * out]."""
        return self.update(state, z + self.recur(state))

    def run(self, xs: Array, initial: LSTMState | None, lengths: Array | None, *, reverse: bool):
        """The kernel over time-major inputs: see ``spago_jax.ops.lstm_kernel``."""
        ys, finals = lstm_scan(xs, [self._parameters()], [initial], lengths, reverses=[reverse])
        return ys[0], finals[0]

    def run_pair(self, backward: "LSTM", xs: Array, initials: tuple[LSTMState | None, ...], lengths: Array | None):
        """This one forwards and another backwards, in one loop."""
        parameters = [self._parameters(), backward._parameters()]
        return lstm_scan(xs, parameters, initials, lengths, reverses=[False, True])

    def _parameters(self) -> tuple[Array, Array, Array]:
        return self.input_weight, self.recurrent_weight, self.bias
