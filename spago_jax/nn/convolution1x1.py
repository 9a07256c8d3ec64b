# SPDX-License-Identifier: BSD-2-Clause
"""A mixture of channels."""

import jax.numpy as jnp

from spago_jax.core import Array, Module, param
from spago_jax.core.initializers import xavier_uniform
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.linear import linear


class Convolution1x1(Module):
    """``y[o] = sum_i W[o, i] x[i] + b[o]`` over the axis before the last: [..., in, features] -> [..., out, features].

    The channels may be the steps of a sequence, as in gMLP. Source: Lin et al., "Network In Network" (2013);
    spaGO nn/convolution/conv1x1.

    >>> Convolution1x1(weight=jnp.array([[1.0, 10.0]]), bias=jnp.array([0.5]))(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[31.5, 42.5]], dtype=float32)
    """

    weight: Array
    bias: Array | None = param(decay=False, default=None)

    @classmethod
    def init(cls, key: Array, in_channels: int, out_channels: int, *, bias: bool = True) -> "Convolution1x1":
        """Xavier-uniform weights, a bias of zeros.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("Convolution1x1", in_channels=in_channels, out_channels=out_channels)
        weight = xavier_uniform(key, (out_channels, in_channels))
        return cls(weight=weight, bias=jnp.zeros(out_channels) if bias else None)

    def __call__(self, x: Array) -> Array:
        """[..., in, features] -> [..., out, features]."""
        return linear(x.swapaxes(-1, -2), self.weight, self.bias).swapaxes(-1, -2)
