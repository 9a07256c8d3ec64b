# SPDX-License-Identifier: BSD-2-Clause
"""One vector from the states of a text: the modes of sentence-transformers.

Each takes states [..., time, features] and a mask [..., time] of the real tokens, and returns [..., features]. Padding,
on either side, changes nothing; a text without tokens gives zeros. 16-bit states are summed, and returned, in float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError


def pool_first(states: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the state of the first token.

    >>> pool_first(jnp.array([[5.0], [2.0], [3.0]]), jnp.array([0, 1, 1]))
    Array([2.], dtype=float32)
    """
    x, real = _checked(states, mask)
    return _at(x, jnp.argmax(real, axis=-1))


def pool_last(states: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the state of the last token.

    >>> pool_last(jnp.array([[1.0], [2.0], [3.0]]), jnp.array([1, 1, 0]))
    Array([2.], dtype=float32)
    """
    x, real = _checked(states, mask)
    return _at(x, real.shape[-1] - 1 - jnp.argmax(jnp.flip(real, axis=-1), axis=-1))


def pool_mean(states: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the mean of the states, ``sum(x) / n``.

    >>> pool_mean(jnp.array([[1.0], [2.0], [9.0]]), jnp.array([1, 1, 0]))
    Array([1.5], dtype=float32)
    """
    x, real = _checked(states, mask)
    return jnp.sum(x, axis=-2) / _count(real, x)


def pool_mean_sqrt(states: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns ``sum(x) / sqrt(n)``.

    >>> pool_mean_sqrt(jnp.full((4, 1), 3.0), jnp.ones(4))
    Array([6.], dtype=float32)
    """
    x, real = _checked(states, mask)
    return jnp.sum(x, axis=-2) / jnp.sqrt(_count(real, x))


def pool_weighted_mean(states: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns ``sum(w x) / sum(w)``, where the weight ``w`` of a token is its place in the row, from 1.

    >>> pool_weighted_mean(jnp.array([[1.0], [4.0], [9.0]]), jnp.array([1, 1, 0]))
    Array([3.], dtype=float32)
    """
    x, real = _checked(states, mask)
    weight = jnp.where(real, jnp.arange(1, real.shape[-1] + 1), 0).astype(x.dtype)
    return jnp.sum(x * weight[..., None], axis=-2) / jnp.maximum(jnp.sum(weight, axis=-1), 1)[..., None]


def pool_max(states: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the largest number of each feature.

    >>> pool_max(jnp.array([[-1.0], [-2.0], [9.0]]), jnp.array([1, 1, 0]))
    Array([-1.], dtype=float32)
    """
    x, real = _checked(states, mask)
    most = jnp.max(jnp.where(real[..., None], x, -jnp.inf), axis=-2, initial=-jnp.inf)
    return jnp.where(jnp.any(real, axis=-1)[..., None], most, 0)


POOLING_MODES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "cls": pool_first,
    "max": pool_max,
    "mean": pool_mean,
    "mean_sqrt_len_tokens": pool_mean_sqrt,
    "weightedmean": pool_weighted_mean,
    "lasttoken": pool_last,
}
"""The modes by the names that sentence-transformers gives them, in the order in which it joins several."""


def _checked(states: jax.Array, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the states in the dtype of the sums, zero where nothing is real, and the mask as truth values."""
    states, mask = jnp.asarray(states), jnp.asarray(mask)
    if states.ndim < 2 or mask.shape != states.shape[:-1]:
        raise InputError(
            f"states have shape {states.shape} and the mask {mask.shape}, expected [..., time, features] and "
            "[..., time]"
        )
    if not states.shape[-2]:  # no axis of size 0 is left to take a first token from
        states = jnp.zeros((*states.shape[:-2], 1, states.shape[-1]), states.dtype)
        mask = jnp.zeros(states.shape[:-1], bool)
    real = mask != 0
    x = states.astype(jnp.promote_types(states.dtype, jnp.float32))
    return jnp.where(real[..., None], x, 0), real


def _count(real: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.sum(real, axis=-1, dtype=x.dtype), 1)[..., None]


def _at(x: jax.Array, place: jax.Array) -> jax.Array:
    return jnp.take_along_axis(x, place[..., None, None], axis=-2)[..., 0, :]
