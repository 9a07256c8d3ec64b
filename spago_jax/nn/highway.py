# SPDX-License-Identifier: BSD-2-Clause
"""The highway layer."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation, parse_activation


class Highway(Module):
    """``y = t h + (1 - t) x`` with ``t = sigmoid(gate(x))`` and ``h = f(transform(x))``: [..., features], kept.

    Source: Srivastava, Greff and Schmidhuber, "Highway Networks" (2015); spaGO nn/highway.

    >>> affine = Linear(weight=jnp.eye(2), bias=jnp.zeros(2))
    >>> Highway(transform=affine, gate=affine, activation="relu")(jnp.array([0.0, -2.0])).round(2)
    Array([ 0.  , -1.76], dtype=float32)
    """

    transform: Linear
    gate: Linear
    activation: str = static(default="relu")

    @classmethod
    def init(cls, key: Array, features: int, *, activation: str = "relu", gate_bias: float = -1.0) -> "Highway":
        """Xavier-uniform weights; a gate bias below zero lets the input through at first, as the paper advises.

        Raises:
            InputError: for a size below 1 or an unknown activation.
        """
        check_sizes("Highway", features=features)
        activation = parse_activation(activation)
        first, second = jax.random.split(key)
        gate = Linear.init(second, features, features).replace(bias=jnp.full(features, gate_bias))
        return cls(
            transform=Linear.init(first, features, features, activation=activation),
            gate=gate,
            activation=activation,
        )

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        gate = jax.nn.sigmoid(self.gate(x))
        return gate * activation(self.activation)(self.transform(x)) + (1.0 - gate) * x
