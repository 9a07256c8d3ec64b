# SPDX-License-Identifier: BSD-2-Clause
"""Layer normalisation."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype


class LayerNorm(Module):
    """``y = (x - mean) / sqrt(var + eps) * weight + bias`` over the last axis (Ba et al., 2016).

    Mean and variance are taken in float32 at least. spaGO v0.7.0 fixes eps at 1e-12.

    >>> LayerNorm.init(2)(jnp.array([1.0, 3.0])).round(3)
    Array([-1.,  1.], dtype=float32)
    """

    weight: Array = param(decay=False)
    bias: Array = param(decay=False)
    eps: float = static(default=1e-5)

    @classmethod
    def init(cls, features: int, *, eps: float = 1e-5) -> "LayerNorm":
        """A gain of ones and a bias of zeros.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("LayerNorm", features=features)
        return cls(weight=jnp.ones(features), bias=jnp.zeros(features), eps=eps)

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        wide = x.astype(accumulation_dtype(x.dtype))
        centred = wide - jnp.mean(wide, axis=-1, keepdims=True)
        scale = jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + self.eps)
        return (centred * scale * over(self.weight, x) + over(self.bias, x)).astype(x.dtype)
