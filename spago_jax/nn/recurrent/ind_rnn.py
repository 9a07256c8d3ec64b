# SPDX-License-Identifier: BSD-2-Clause
"""The independently recurrent network."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, static
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.nn.recurrent.base import FusedCell
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation, parse_activation
from spago_jax.ops.broadcast import over


class IndRNN(FusedCell):
    """Independently recurrent network: [..., time, in] -> [..., time, out] and the final state [..., out].

        h = f(W x + b + w' * h)         (w' is a vector: no unit sees another)

    ``input_weight`` [out, in], ``recurrent_weight`` [out], ``bias`` [out], ``activation`` f by name. Source: Li, Li,
    Cook, Zhu and Gao, "Independently recurrent neural network (IndRNN): building a longer and deeper RNN" (2018);
    spaGO nn/recurrent/indrnn.

    >>> cell = IndRNN(input_weight=jnp.ones((1, 1)), recurrent_weight=jnp.array([0.5]), bias=jnp.zeros(1))
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> ys[:, 0]
    Array([1. , 0.5], dtype=float32)
    """

    activation: str = static(default="relu")

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, activation: str = "relu") -> "IndRNN":
        """Xavier-uniform input weights, recurrent ones from U(0, 1), a bias of zeros.

        Raises:
            InputError: for a size below 1 or an unknown activation.
        """
        check_sizes("IndRNN", in_features=in_features, out_features=out_features)
        parse_activation(activation)
        inputs, recurrent = jax.random.split(key)
        return cls(
            input_weight=xavier_uniform(inputs, (out_features, in_features), gain(activation)),
            recurrent_weight=jax.random.uniform(recurrent, (out_features,)),
            bias=jnp.zeros(out_features),
            activation=activation,
        )

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input [..., out]; all of it is elementwise."""
        gates = z + over(self.recurrent_weight.astype(z.dtype), z) * state.astype(z.dtype)
        new = activation(self.activation)(gates).astype(state.dtype)
        return new, new
