# SPDX-License-Identifier: BSD-2-Clause
"""Lengths of vectors, scaled by a power of two so that no square over- or underflows."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def _scale(peak: Array) -> tuple[Array, Array]:
    """A power of two that brings numbers of this size to where squares are safe, and its inverse; nothing is rounded.

    The exponents are shares of the dtype's range: in float32 2^-90 above 2^40, and 2^86 below 2^-40.
    """
    range_ = jnp.finfo(peak.dtype).maxexp
    high, low = 2.0 ** (range_ * 45 // 64), 2.0 ** (range_ * 43 // 64)
    limit = 2.0 ** (range_ * 5 // 16)
    large, small = peak > limit, peak < 1 / limit
    one = jnp.ones_like(peak)
    return (
        jnp.where(large, one / high, jnp.where(small, one * low, one)),
        jnp.where(large, one * high, jnp.where(small, one / low, one)),
    )


def _length(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array]:
    """The length of the scaled vector (1 for the zero vector), the scale and its inverse, with the axes kept."""
    peak = lax.stop_gradient(jnp.max(jnp.abs(x), axis=axes, keepdims=True, initial=0))
    scale, inverse = _scale(peak)
    square = jnp.sum(jnp.square(x * scale), axis=axes, keepdims=True)
    return jnp.sqrt(jnp.where(peak == 0, 1, square)), jnp.where(peak == 0, 0, scale), inverse


def _shrunk(x: Array, length: Array, scale: Array) -> Array:
    """``x / length * scale``, in the order in which nothing on the way leaves the range of the dtype."""
    return (x * jnp.maximum(scale, 1)) / length * jnp.minimum(scale, 1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def direction(x: Array, axes: tuple[int, ...]) -> Array:
    """``x / sqrt(sum x^2)`` over ``axes``; 0, with derivative 0, for the zero vector.

    >>> direction(jnp.array([3e30, 4e30]), (0,)), direction(jnp.zeros(2), (0,))
    (Array([0.59999996, 0.8       ], dtype=float32), Array([0., 0.], dtype=float32))
    """
    length, scale, _ = _length(x, axes)
    return _shrunk(x, length, scale)


@direction.defjvp
def _(axes, primals, tangents):
    """``(dx - u (u . dx)) / |x|``, of dx less its part along x: that of the largest component, which would cancel."""
    (x,), (dx,) = primals, tangents
    u = direction(x, axes)
    length, scale, _ = _length(x, axes)
    peak = jnp.max(jnp.abs(x), axis=axes, keepdims=True, initial=0)
    largest = (jnp.abs(x) == peak) & (peak > 0)
    number = jnp.maximum(jnp.sum(largest, axis=axes, keepdims=True, dtype=x.dtype), 1)
    share = jnp.sum(jnp.where(largest, jnp.sign(x) * dx, 0), axis=axes, keepdims=True) / number
    across = jnp.where(largest & (number == 1), 0, dx - share * (x / jnp.where(peak == 0, 1, peak)))
    return u, _shrunk(across - u * jnp.sum(u * across, axis=axes, keepdims=True), length, scale)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def norm(x: Array, axes: tuple[int, ...]) -> Array:
    """``sqrt(sum x^2)`` over ``axes``; its derivative is ``direction(x)``, so 0 for the zero vector.

    >>> f"{norm(jnp.array([3e30, 4e30]), (0,)):.5e}", jax.grad(norm)(jnp.zeros(2), (0,))
    ('5.00000e+30', Array([0., 0.], dtype=float32))
    """
    length, scale, inverse = _length(x, axes)
    return jnp.squeeze(jnp.where(scale == 0, 0, length * inverse), axes)


@norm.defjvp
def _(axes, primals, tangents):
    (x,), (dx,) = primals, tangents
    return norm(x, axes), jnp.sum(direction(x, axes) * dx, axis=axes)


@jax.custom_jvp
def hypot(x: Array, y: Array) -> Array:
    """``sqrt(x^2 + y^2)``; its derivative is the direction of ``(x, y)``, so 0 at the origin.

    >>> f"{hypot(3e30, 4e30):.5e}", [float(d) for d in jax.grad(hypot, (0, 1))(0.0, 0.0)]
    ('5.00000e+30', [0.0, 0.0])
    """
    scale, inverse = _scale(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    return jnp.sqrt(jnp.square(x * scale) + jnp.square(y * scale)) * inverse


@hypot.defjvp
def _(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    peak = lax.stop_gradient(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    scale, _ = _scale(peak)
    square = jnp.square(x * scale) + jnp.square(y * scale)
    length = jnp.sqrt(jnp.where(peak == 0, 1, square))
    return hypot(x, y), _shrunk(x, length, scale) * dx + _shrunk(y, length, scale) * dy
