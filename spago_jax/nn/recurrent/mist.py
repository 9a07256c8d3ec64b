# SPDX-License-Identifier: BSD-2-Clause
"""The mixed-history recurrent network."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, param, static
from spago_jax.core.initializers import blocks, orthogonal, xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.recurrent.base import Recurrent, affine
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.linear import float_dtype, matmul
from spago_jax.ops.recurrence import push


class MIST(Recurrent):
    """Mixed-history recurrent network: [..., time, in] -> [..., time, out], state [..., 2 ** (delays - 1), out].

        r = sigmoid(Wr x + br + Wr' h),  a = softmax(Wa x + ba + Wa' h)
        m = sum over i = 0 .. delays - 1 of a_i h[t - 2^i]
        h = tanh(Wc x + bc + Wc' (r m))

    The fused arrays hold the blocks reset, candidate, attention: ``input_weight`` [2 * out + attention, in], ``bias``
    [2 * out + attention]; ``recurrent_weight`` [out + attention, out] has reset and attention, ``history_weight``
    [out, out] is Wc'. The state holds past outputs, newest first. The softmax runs over ``attention`` numbers, at least
    ``delays``: in the paper as many; spaGO takes ``out`` and lets all but the first ``delays`` fall away. Source:
    DiPietro, Rupprecht, Navab and Hager, "Analyzing and exploiting NARX recurrent neural networks for long-term
    dependencies" (2017); spaGO nn/recurrent/mist.

    >>> ones = jnp.ones
    >>> cell = MIST(ones((3, 1)), ones((2, 1)), ones((1, 1)), bias=jnp.zeros(3), delays=1)
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3), state.shape
    (array([0.762, 0.477], dtype=float32), (1, 1))
    """

    input_weight: Array
    recurrent_weight: Array
    history_weight: Array
    bias: Array = param(decay=False)
    delays: int = static(default=1)

    @classmethod
    def init(
        cls, key: Array, in_features: int, out_features: int, *, delays: int = 4, attention: int | None = None
    ) -> "MIST":
        """Xavier-uniform input weights, orthogonal recurrent ones (a block per gate), biases of zeros.

        Args:
            key: the randomness.
            in_features: size of an input.
            out_features: size of an output.
            delays: how many past outputs are mixed: those 1, 2, 4, 8, ... steps ago.
            attention: over how many numbers the softmax runs; None: ``delays``, as in the paper.

        Raises:
            InputError: for a size below 1 or fewer numbers of attention than delays.
        """
        attention = delays if attention is None else attention
        check_sizes("MIST", in_features=in_features, out_features=out_features, delays=delays, attention=attention)
        if attention < delays:
            raise InputError(f"MIST: attention is {attention}, expected at least delays, {delays}")
        keys = jax.random.split(key, 5)
        return cls(
            input_weight=jnp.concatenate(
                [
                    blocks(keys[0], 2, lambda k: xavier_uniform(k, (out_features, in_features))),
                    xavier_uniform(keys[1], (attention, in_features)),
                ]
            ),
            recurrent_weight=jnp.concatenate(
                [
                    orthogonal(keys[2], (out_features, out_features)),
                    xavier_uniform(keys[3], (attention, out_features)),
                ]
            ),
            history_weight=orthogonal(keys[4], (out_features, out_features)),
            bias=jnp.zeros(2 * out_features + attention),
            delays=delays,
        )

    @property
    def in_features(self) -> int:
        """The size of an input."""
        return self.input_weight.shape[1]

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.history_weight.shape[0]

    def initial_state(self, lead: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Zeros: [*lead, 2 ** (delays - 1), out]."""
        dtype = float_dtype(dtype, self)
        return jnp.zeros((*lead, 2 ** (self.delays - 1), self.out_features), dtype)

    def project(self, xs: Array) -> Array:
        """``W x + b``: [..., in] -> [..., 2 * out + attention], in the accumulation dtype."""
        return affine(xs, self.input_weight, self.bias)

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input. The second product waits for the gates, so there is no single update."""
        out = self.out_features
        product = matmul(state[..., 0, :], self.recurrent_weight)
        reset = fast_sigmoid(z[..., :out] + product[..., :out])
        weights = jax.nn.softmax(z[..., 2 * out :] + product[..., out:], axis=-1)
        mixed = jnp.zeros_like(reset)
        for i in range(self.delays):
            mixed = mixed + weights[..., i, None] * state[..., 2**i - 1, :].astype(z.dtype)
        gates = z[..., out : 2 * out] + matmul((reset * mixed).astype(state.dtype), self.history_weight)
        new = jnp.tanh(gates).astype(state.dtype)
        return push(state, new), new
