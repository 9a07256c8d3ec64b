# SPDX-License-Identifier: BSD-2-Clause
"""The affine layer."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, param
from spago_jax.core.initializers import gain, xavier_uniform
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.linear import linear


class Linear(Module):
    """``y = x W' + b``: [..., in] -> [..., out].

    Source: spaGO nn/linear.

    >>> layer = Linear(weight=jnp.array([[1.0, 2.0]]), bias=jnp.array([0.5]))
    >>> layer(jnp.array([[1.0, 1.0], [0.0, 1.0]]))
    Array([[3.5],
           [2.5]], dtype=float32)
    """

    weight: Array
    bias: Array | None = param(decay=False, default=None)

    @classmethod
    def init(
        cls, key: Array, in_features: int, out_features: int, *, bias: bool = True, activation: str = "identity"
    ) -> "Linear":
        """Xavier-uniform weights with the gain of the activation that follows, a bias of zeros.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        weight = xavier_uniform(key, (out_features, in_features), gain(activation))
        return cls(weight=weight, bias=jnp.zeros(out_features) if bias else None)

    def __call__(self, x: Array) -> Array:
        """[..., in] -> [..., out], in the dtype of ``x``."""
        return linear(x, self.weight, self.bias)
