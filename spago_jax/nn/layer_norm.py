# SPDX-License-Identifier: BSD-2-Clause
"""Layer normalisation and the forms without parameters."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.errors import InputError
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype, as_float
from spago_jax.ops.norms import standardize


class LayerNorm(Module):
    """``y = (x - mean) / sqrt(var + eps) * weight + bias`` over the last axis: [..., features], kept.

    Mean and variance are taken in float32 at least. Source: Ba et al. (2016); spaGO nn/normalization/layernorm, which
    fixes eps at 1e-12 in v0.7.0. The bias may be None, as in ModernBERT.

    >>> LayerNorm.init(2)(jnp.array([1.0, 3.0])).round(3)
    Array([-1.,  1.], dtype=float32)
    """

    weight: Array = param(decay=False)
    bias: Array | None = param(decay=False, default=None)
    eps: float = static(default=1e-5)

    @classmethod
    def init(cls, features: int, *, eps: float = 1e-5, bias: bool = True) -> "LayerNorm":
        """A gain of ones and a bias of zeros, or none.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("LayerNorm", features=features)
        return cls(weight=jnp.ones(features), bias=jnp.zeros(features) if bias else None, eps=eps)

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        x = as_float(x, self)
        wide = x.astype(accumulation_dtype(x.dtype))
        centred = wide - jnp.mean(wide, axis=-1, keepdims=True)
        scale = jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True) + self.eps)
        y = centred * scale * over(self.weight, x)
        return (y if self.bias is None else y + over(self.bias, x)).astype(x.dtype)


class LayerNormSimple(Module):
    """``y = (x - mean) / (std + eps)`` over the last axis, without parameters (Xu et al., 2019).

    Source: spaGO nn/normalization/layernormsimple.

    >>> LayerNormSimple()(jnp.array([1.0, 3.0]))
    Array([-1.,  1.], dtype=float32)
    """

    eps: float = static(default=1e-10)

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        x = as_float(x)
        return standardize(x.astype(accumulation_dtype(x.dtype)), self.eps).astype(x.dtype)


class AdaNorm(Module):
    """``y = C (1 - k z) z`` with ``z = (x - mean) / (std + eps)``; no gradient passes through ``C (1 - k z)``.

    Source: Xu et al., "Understanding and Improving Layer Normalization" (2019); spaGO nn/normalization/adanorm.

    >>> AdaNorm.init()(jnp.array([1.0, 3.0]))
    Array([-1.1,  0.9], dtype=float32)
    """

    scale: float = static(default=1.0)
    slope: float = static(default=0.1)
    eps: float = static(default=1e-10)

    @classmethod
    def init(cls, scale: float = 1.0, *, slope: float = 0.1) -> "AdaNorm":
        """The constants C and k.

        Raises:
            InputError: for a scale that is not more than zero.
        """
        if not scale > 0.0:
            raise InputError(f"AdaNorm: scale is {scale}, expected more than 0")
        return cls(scale=float(scale), slope=float(slope))

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        x = as_float(x)
        z = standardize(x.astype(accumulation_dtype(x.dtype)), self.eps)
        return (z * jax.lax.stop_gradient(self.scale * (1.0 - self.slope * z))).astype(x.dtype)
