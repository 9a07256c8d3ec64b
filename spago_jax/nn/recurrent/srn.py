# SPDX-License-Identifier: BSD-2-Clause
"""The simple recurrent network."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, static
from spago_jax.core.initializers import orthogonal, xavier_uniform
from spago_jax.nn.recurrent.base import FusedCell
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation, parse_activation
from spago_jax.ops.linear import matmul


class SRN(FusedCell):
    """Simple recurrent network: [..., time, in] -> [..., time, out] and the final state [..., out].

        h = tanh(W x + b + W' h)

    ``input_weight`` [out, in], ``recurrent_weight`` [out, out], ``bias`` [out]; ``activation`` in place of tanh by
    name (PyTorch's ``nn.RNN`` has tanh and relu; its two biases act as their sum). Source: Elman, "Finding structure
    in time" (1990); spaGO nn/recurrent/srn.

    >>> cell = SRN(input_weight=jnp.array([[1.0]]), recurrent_weight=jnp.array([[0.5]]), bias=jnp.array([0.0]))
    >>> ys, state = cell(jnp.array([[1.0], [0.0]]))
    >>> np.asarray(ys[:, 0]).round(3), np.asarray(state).round(3)
    (array([0.762, 0.363], dtype=float32), array([0.363], dtype=float32))
    """

    activation: str = static(default="tanh")

    @classmethod
    def init(cls, key: Array, in_features: int, out_features: int, *, activation: str = "tanh") -> "SRN":
        """Xavier-uniform input weights, orthogonal recurrent ones, a bias of zeros.

        Raises:
            InputError: for a size below 1 or an unknown activation.
        """
        check_sizes("SRN", in_features=in_features, out_features=out_features)
        inputs, recurrent = jax.random.split(key)
        return cls(
            input_weight=xavier_uniform(inputs, (out_features, in_features)),
            recurrent_weight=orthogonal(recurrent, (out_features, out_features)),
            bias=jnp.zeros(out_features),
            activation=parse_activation(activation),
        )

    def recur(self, state: Array) -> Array:
        """The recurrent product ``W' h``: [..., out]."""
        return matmul(state, self.recurrent_weight)

    def update(self, state: Array, gates: Array) -> tuple[Array, Array]:
        """The elementwise half of a step, given the pre-activation."""
        new = activation(self.activation)(gates).astype(state.dtype)
        return new, new

    def step(self, state: Array, z: Array) -> tuple[Array, Array]:
        """One step from a projected input [..., out]."""
        return self.update(state, z + self.recur(state))
