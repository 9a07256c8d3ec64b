# SPDX-License-Identifier: BSD-2-Clause
"""Logarithms of sums of exponentials, and softmax, over any axes."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.compiler.rewrite.accurate.elementwise import expm1
from spago_jax.compiler.rewrite.accurate.sigmoids import sigmoid

Array = jax.Array
Axes = tuple[int, ...]


class _Split(NamedTuple):
    """The largest entries apart from the rest: ``1 + tiny`` would lose the rest."""

    peak: Array  # the largest value, with the axes kept
    ties: Array  # bool: which entries are the largest
    number: Array  # how many
    rest: Array  # exp(x - peak) summed over the others
    shifted: Array  # x - peak


def _split(x: Array, axes: Axes) -> _Split:
    peak = lax.stop_gradient(jnp.max(x, axis=axes, keepdims=True, initial=-jnp.inf))
    peak = jnp.where(jnp.isfinite(peak), peak, 0)
    ties = x == peak
    shifted = x - peak
    number = jnp.sum(ties, axis=axes, keepdims=True, dtype=x.dtype)
    rest = jnp.sum(jnp.where(ties, 0, jnp.exp(shifted)), axis=axes, keepdims=True)
    return _Split(peak, ties, number, rest, shifted)


def _log_sum(split: _Split) -> Array:
    """The logarithm of the sum of ``exp(shifted)``; without any largest entry (all -inf) it is that of the rest."""
    count = jnp.where(split.number == 0, 1, split.number)
    several = jnp.log(count) + jnp.log1p(split.rest / count)
    return jnp.where(split.number == 0, jnp.log(split.rest), several)


def _spread(dx: Array, split: _Split, axes: Axes) -> Array:
    """``dx`` less its value at the largest entry: softmax does not see the shift, and ``1 - y`` is never formed."""
    count = jnp.where(split.number == 0, 1, split.number)
    base = jnp.sum(jnp.where(split.ties, dx, 0), axis=axes, keepdims=True) / count
    alone = split.ties & (split.number == 1)
    return jnp.where(alone, 0, dx - base)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def softmax(x: Array, axes: Axes) -> Array:
    """``exp(x) / sum(exp(x))`` over ``axes``.

    >>> softmax(jnp.array([800.0, 800.0, 0.0]), (0,))
    Array([0.5, 0.5, 0. ], dtype=float32)
    """
    peak = lax.stop_gradient(jnp.max(x, axis=axes, keepdims=True, initial=-jnp.inf))
    powers = jnp.exp(x - jnp.where(jnp.isfinite(peak), peak, 0))
    return powers / jnp.sum(powers, axis=axes, keepdims=True)


@softmax.defjvp
def _(axes, primals, tangents):
    (x,), (dx,) = primals, tangents
    y = softmax(x, axes)
    dx = _spread(dx, _split(x, axes), axes)
    return y, y * (dx - jnp.sum(y * dx, axis=axes, keepdims=True))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def log_softmax(x: Array, axes: Axes) -> Array:
    """``log(softmax(x))`` over ``axes``.

    >>> log_softmax(jnp.array([20.0, 0.0]), (0,)), jax.nn.log_softmax(jnp.array([20.0, 0.0]))
    (Array([-2.0611537e-09, -2.0000000e+01], dtype=float32), Array([  0., -20.], dtype=float32))
    """
    split = _split(x, axes)
    return split.shifted - _log_sum(split)


@log_softmax.defjvp
def _(axes, primals, tangents):
    (x,), (dx,) = primals, tangents
    dx = _spread(dx, _split(x, axes), axes)
    return log_softmax(x, axes), dx - jnp.sum(softmax(x, axes) * dx, axis=axes, keepdims=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def logsumexp(x: Array, axes: Axes) -> Array:
    """``log(sum(exp(x)))`` over ``axes``; its derivative is ``softmax(x)``.

    >>> f"{logsumexp(jnp.array([800.0, 800.0]), (0,)):.3f}"
    '800.693'
    """
    split = _split(x, axes)
    return jnp.squeeze(split.peak + _log_sum(split), axes)


@logsumexp.defjvp
def _(axes, primals, tangents):
    (x,), (dx,) = primals, tangents
    return logsumexp(x, axes), jnp.sum(softmax(x, axes) * dx, axis=axes)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def logmeanexp(x: Array, axes: Axes) -> Array:
    """``log(mean(exp(x)))`` over ``axes``; its derivative is ``softmax(x)``.

    >>> float(logmeanexp(jnp.array([800.0, 800.0]), (0,))), float(logmeanexp(jnp.array([1e-20, 3e-20]), (0,)))
    (800.0, 1.999999936531045e-20)
    """
    peak = jnp.max(x, axis=axes, keepdims=True, initial=-jnp.inf)
    peak = jnp.where(jnp.isfinite(peak), peak, 0)
    lack = jnp.mean(lax.expm1(x - peak), axis=axes, keepdims=True)  # from -1, all far below, to 0, all alike
    alike = lack > -0.5
    mean = jnp.mean(jnp.exp(x - peak), axis=axes, keepdims=True)
    return jnp.squeeze(peak + jnp.where(alike, jnp.log1p(jnp.where(alike, lack, 0)), jnp.log(mean)), axes)


@logmeanexp.defjvp
def _(axes, primals, tangents):
    (x,), (dx,) = primals, tangents
    return logmeanexp(x, axes), jnp.sum(softmax(x, axes) * dx, axis=axes)


@jax.custom_jvp
def logaddexp(x: Array, y: Array) -> Array:
    """``log(exp(x) + exp(y))``; its derivatives are ``sigmoid(x - y)`` and ``sigmoid(y - x)``.

    >>> f"{logaddexp(800.0, 800.0):.3f}"
    '800.693'
    """
    gap = x - y
    return jnp.where(jnp.isnan(gap), x + y, jnp.maximum(x, y) + jnp.log1p(jnp.exp(-jnp.abs(gap))))


@logaddexp.defjvp
def _(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return logaddexp(x, y), dx * sigmoid(x - y) + dy * sigmoid(y - x)


@jax.custom_jvp
def log1mexp(x: Array) -> Array:
    """``log(1 - exp(x))`` for x below 0 (Maechler 2012); its derivative is ``-1 / expm1(-x)``.

    >>> float(log1mexp(-1e-10)), float(log1mexp(-50.0))
    (-23.025850296020508, -1.9287498933537385e-22)
    """
    near = x > -0.6931472
    small = jnp.log(-lax.expm1(jnp.where(near, x, -1)))
    return jnp.where(near, small, jnp.log1p(-jnp.exp(jnp.where(near, -1, x))))


@log1mexp.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return log1mexp(x), -dx / expm1(-x)


@jax.custom_jvp
def logexpm1(x: Array) -> Array:
    """``log(exp(x) - 1)``, the inverse of softplus, for x above 0; its derivative is ``-1 / expm1(-x)``.

    >>> float(logexpm1(1e-10)), float(logexpm1(800.0))
    (-23.025850296020508, 800.0)
    """
    near = x < 1
    small = jnp.log(lax.expm1(jnp.where(near, x, 1)))
    return jnp.where(near, small, x + jnp.log1p(-jnp.exp(-jnp.where(near, 1, x))))


@logexpm1.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return logexpm1(x), -dx / expm1(-x)


@jax.custom_jvp
def logsubexp(x: Array, y: Array) -> Array:
    """``log(exp(x) - exp(y))`` for x above y: ``x + log1mexp(y - x)``.

    >>> f"{logsubexp(801.0, 800.0):.3f}"
    '800.541'
    """
    return x + log1mexp(y - x)


@logsubexp.defjvp
def _(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return logsubexp(x, y), -dx / expm1(y - x) - dy / expm1(x - y)
