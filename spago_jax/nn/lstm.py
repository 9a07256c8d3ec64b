# SPDX-License-Identifier: BSD-2-Clause
"""The LSTM layer."""

from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, param
from spago_jax.core.initializers import blocks, orthogonal, xavier_uniform
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype, matmul
from spago_jax.ops.lstm import LSTMState, lstm_scan, lstm_update, lstm_zero_state
from spago_jax.ops.recurrence import scan_recurrence


class LSTM(Module):
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

    input_weight: Array
    recurrent_weight: Array
    bias: Array = param(decay=False)

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, forget_bias: float = 1.0) -> "LSTM":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block a gate), the forget gate's bias 1.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("LSTM", in_features=in_features, out_features=out_features)
        inputs, recurrent = jax.random.split(key)
        return cls(
            input_weight=blocks(inputs, 4, lambda k: xavier_uniform(k, (out_features, in_features))),
            recurrent_weight=blocks(recurrent, 4, lambda k: orthogonal(k, (out_features, out_features))),
            bias=jnp.zeros(4 * out_features).at[out_features : 2 * out_features].set(forget_bias),
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.recurrent_weight.shape[1]

    def __call__(
        self,
        xs: Array,
        lengths: Array | None = None,
        *,
        initial: LSTMState | None = None,
        reverse: bool = False,
    ) -> tuple[Array, LSTMState]:
        """[..., time, in], int[...] -> outputs [..., time, out] (zero beyond the lengths) and the final state."""
        return scan_recurrence(self, xs, lengths=lengths, initial=initial, reverse=reverse)

    def initial_state(self, lead: tuple[int, ...], dtype: Any) -> LSTMState:
        """Zeros; the cell in float32 at least."""
        return lstm_zero_state(lead, self.out_features, dtype)

    def project(self, xs: Array) -> Array:
        """``W x + b``: [..., in] -> [..., 4 * out], in the accumulation dtype."""
        z = matmul(xs, self.input_weight)
        return z + over(self.bias.astype(accumulation_dtype(self.bias.dtype)), z)

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
