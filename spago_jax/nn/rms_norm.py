# SPDX-License-Identifier: BSD-2-Clause
"""Normalisations by length: RMSNorm, ScaleNorm, FixNorm."""

import math

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, param, static
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype, as_float
from spago_jax.ops.norms import norm, safe_sqrt


class RMSNorm(Module):
    """``y = x / sqrt(mean(x^2) + eps) * weight``, and ``+ bias`` where there is one, over the last axis.

    With ``eps_outside`` it divides by ``sqrt(mean(x^2)) + eps``, as spaGO does (with eps 1e-10 and a bias). The mean is
    taken in float32 at least. Source: Zhang and Sennrich (2019); PyTorch RMSNorm; spaGO nn/normalization/rmsnorm.

    >>> RMSNorm.init(2)(jnp.array([1.0, 7.0])).astype("float16")
    Array([0.2, 1.4], dtype=float16)
    """

    weight: Array = param(decay=False)
    bias: Array | None = param(decay=False, default=None)
    eps: float = static(default=1e-6)
    eps_outside: bool = static(default=False)

    @classmethod
    def init(cls, features: int, *, bias: bool = False, eps: float = 1e-6, eps_outside: bool = False) -> "RMSNorm":
        """A gain of ones, and a bias of zeros if wished.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("RMSNorm", features=features)
        return cls(
            weight=jnp.ones(features), bias=jnp.zeros(features) if bias else None, eps=eps, eps_outside=eps_outside
        )

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        x = as_float(x, self)
        wide = x.astype(accumulation_dtype(x.dtype))
        mean = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
        y = wide / (safe_sqrt(mean) + self.eps) if self.eps_outside else wide * jax.lax.rsqrt(mean + self.eps)
        y = y * over(self.weight, x)
        return (y if self.bias is None else y + over(self.bias, x)).astype(x.dtype)


class ScaleNorm(Module):
    """``y = weight x / (|x| + eps)``: [..., features], kept.

    ``weight`` is one number (the paper) or one per feature (spaGO). Source: Nguyen and Salazar (2019); spaGO
    nn/normalization/scalenorm.

    >>> ScaleNorm.init(25)(jnp.array([3.0, 4.0]))
    Array([3., 4.], dtype=float32)
    """

    weight: Array = param(decay=False)
    eps: float = static(default=1e-10)

    @classmethod
    def init(cls, features: int, *, per_feature: bool = False, eps: float = 1e-10) -> "ScaleNorm":
        """A gain of ``sqrt(features)``, as in the paper.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("ScaleNorm", features=features)
        return cls(weight=jnp.full((features,) if per_feature else (), math.sqrt(features)), eps=eps)

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        x = as_float(x, self)
        wide = x.astype(accumulation_dtype(x.dtype))
        gain = over(self.weight, x) if self.weight.ndim else self.weight
        return (wide / (norm(wide) + self.eps) * gain.astype(wide.dtype)).astype(x.dtype)


class FixNorm(Module):
    """``y = x / (|x| + eps)``, of length one: [..., features], kept.

    Source: Nguyen and Chiang (2018); spaGO nn/normalization/fixnorm.

    >>> FixNorm()(jnp.array([3.0, 4.0]))
    Array([0.6, 0.8], dtype=float32)
    """

    eps: float = static(default=1e-10)

    def __call__(self, x: Array) -> Array:
        """[..., features], kept."""
        x = as_float(x, self)
        wide = x.astype(accumulation_dtype(x.dtype))
        return (wide / (norm(wide) + self.eps)).astype(x.dtype)
