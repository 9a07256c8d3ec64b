# SPDX-License-Identifier: BSD-2-Clause
"""Batch normalisation, as everywhere and as in spaGO; the running statistics are state that a training step returns."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, buffer, param, static
from spago_jax.errors import InputError
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype, as_float
from spago_jax.ops.masks import length_mask
from spago_jax.ops.norms import safe_sqrt


class BatchNorm(Module):
    """``y = (x - mean) / sqrt(var + eps) * weight + bias``, mean and variance over all axes but the last.

    ``bn(x)`` is inference, by the running statistics. ``bn.step(x, lengths)`` is training: by those of the batch, and
    a new layer whose running ones are ``momentum * old + (1 - momentum) * batch``. As in PyTorch (whose momentum is
    one minus this one) the running variance is divided by n - 1. Source: Ioffe and Szegedy (2015).

    >>> y, bn = BatchNorm.init(1).step(jnp.array([[1.0], [3.0]]))
    >>> y[:, 0].round(3), bn.running_mean, bn.running_var
    (Array([-1.,  1.], dtype=float32), Array([0.2], dtype=float32), Array([1.1], dtype=float32))
    """

    weight: Array = param(decay=False)
    bias: Array = param(decay=False)
    running_mean: Array = buffer()
    running_var: Array = buffer()
    momentum: float = static(default=0.9)
    eps: float = static(default=1e-5)

    @classmethod
    def init(cls, features: int, *, momentum: float = 0.9, eps: float = 1e-5) -> "BatchNorm":
        """A gain of ones, a bias of zeros, a running mean of zeros and a running variance of ones.

        Raises:
            InputError: for a size below 1, or a momentum outside [0, 1].
        """
        check_sizes("BatchNorm", features=features)
        ones, zeros = jnp.ones(features), jnp.zeros(features)
        momentum = check_momentum("BatchNorm", momentum)
        # One array cannot be in two places of a model.
        return cls(ones, zeros, zeros.copy(), ones.copy(), momentum=momentum, eps=eps)

    def __call__(self, x: Array) -> Array:
        """[..., features], kept, by the running statistics, which get no gradient."""
        return self._apply(x, *jax.lax.stop_gradient((self.running_mean, self.running_var)))

    def step(self, x: Array, lengths: Array | None = None) -> tuple[Array, "BatchNorm"]:
        """[..., features] by the statistics of the batch, and the layer with new running ones.

        With ``lengths`` x is [..., time, features], and what lies beyond a length does not count.
        """
        count, mean, squares = batch_statistics(x, lengths, 0.0)
        var = squares / jnp.maximum(count, 1.0)
        unbiased = squares / jnp.maximum(count - 1.0, 1.0)
        new = self.replace(
            running_mean=running(self.running_mean, mean, self.momentum),
            running_var=running(self.running_var, unbiased, self.momentum),
        )
        return self._apply(x, mean, var), new

    def _apply(self, x: Array, mean: Array, var: Array) -> Array:
        x = as_float(x, self)
        wide = x.astype(accumulation_dtype(x.dtype))
        scale = jax.lax.rsqrt(var.astype(wide.dtype) + self.eps) * self.weight.astype(wide.dtype)
        shifted = (wide - over(mean.astype(wide.dtype), x)) * over(scale, x)
        return (shifted + over(self.bias.astype(wide.dtype), x)).astype(x.dtype)


class DeviationBatchNorm(Module):
    """Batch normalisation as spaGO has it, by a running standard deviation.

        mean = sum(x) / (n + eps),  std = sqrt(sum((x - mean)^2) / (n + eps))
        y = (x - mean) weight / (std + eps) + bias

    For its saved models; :class:`BatchNorm` is the one of the paper, Ioffe and Szegedy (2015). Source: spaGO
    nn/normalization/batchnorm (whose versions 1 start from a gain of 1e-5, here 1).

    >>> y, bn = DeviationBatchNorm.init(1).step(jnp.array([[1.0], [3.0]]))
    >>> y[:, 0].round(3), bn.running_deviation.round(3)
    (Array([-1.,  1.], dtype=float32), Array([0.1], dtype=float32))
    """

    weight: Array = param(decay=False)
    bias: Array = param(decay=False)
    running_mean: Array = buffer()
    running_deviation: Array = buffer()
    momentum: float = static(default=0.9)
    eps: float = static(default=1e-5)

    @classmethod
    def init(cls, features: int, *, momentum: float = 0.9, eps: float = 1e-5) -> "DeviationBatchNorm":
        """A gain of ones, a bias and running statistics of zeros.

        Raises:
            InputError: for a size below 1, or a momentum outside [0, 1].
        """
        check_sizes("DeviationBatchNorm", features=features)
        zeros = jnp.zeros(features)
        momentum = check_momentum("DeviationBatchNorm", momentum)
        return cls(jnp.ones(features), zeros, zeros.copy(), zeros.copy(), momentum=momentum, eps=eps)

    def __call__(self, x: Array) -> Array:
        """[..., features], kept, by the running statistics, which get no gradient."""
        return self._apply(x, *jax.lax.stop_gradient((self.running_mean, self.running_deviation)))

    def step(self, x: Array, lengths: Array | None = None) -> tuple[Array, "DeviationBatchNorm"]:
        """[..., features] by the statistics of the batch, and the layer with new running ones."""
        count, mean, squares = batch_statistics(x, lengths, self.eps)
        deviation = safe_sqrt(squares / (count + self.eps))
        new = self.replace(
            running_mean=running(self.running_mean, mean, self.momentum),
            running_deviation=running(self.running_deviation, deviation, self.momentum),
        )
        return self._apply(x, mean, deviation), new

    def _apply(self, x: Array, mean: Array, deviation: Array) -> Array:
        x = as_float(x, self)
        wide = x.astype(accumulation_dtype(x.dtype))
        scale = self.weight.astype(wide.dtype) / (deviation.astype(wide.dtype) + self.eps)
        shifted = (wide - over(mean.astype(wide.dtype), x)) * over(scale, x)
        return (shifted + over(self.bias.astype(wide.dtype), x)).astype(x.dtype)


def check_momentum(layer: str, momentum: float) -> float:
    """A momentum as a float in [0, 1].

    Raises:
        InputError: for any other number.
    """
    if not 0.0 <= momentum <= 1.0:
        raise InputError(
            f"{layer}: momentum is {momentum}, expected 0 to 1, the share of the old value (PyTorch's 0.1 is 0.9 here)"
        )
    return float(momentum)


def batch_statistics(x: Array, lengths: Array | None, eps: float) -> tuple[Array, Array, Array]:
    """The count of vectors, ``sum(x) / (count + eps)``, and the sum of squares about it: [], [features], [features]."""
    x = as_float(x)
    wide = x.astype(accumulation_dtype(x.dtype))
    axes = tuple(range(x.ndim - 1))
    if lengths is None:
        mask = jnp.ones(x.shape[:-1], bool)[..., None]
    else:
        mask = length_mask(lengths, x.shape[-2])[..., None]
    zero = jnp.zeros((), wide.dtype)
    count = jnp.sum(mask.astype(wide.dtype))
    mean = jnp.sum(jnp.where(mask, wide, zero), axis=axes) / (jnp.maximum(count, 1.0) + eps)
    squares = jnp.sum(jnp.where(mask, jnp.square(wide - over(mean, x)), zero), axis=axes)
    return count, mean, squares


def running(old: Array, batch: Array, momentum: float) -> Array:
    """The next running statistic, in the dtype of the old one and without a gradient."""
    return (momentum * old + (1.0 - momentum) * jax.lax.stop_gradient(batch).astype(old.dtype)).astype(old.dtype)
