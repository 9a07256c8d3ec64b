# SPDX-License-Identifier: BSD-2-Clause
"""Rules that forbid or force tokens, here or there. All take and return scores [batch, beams, vocabulary]."""

import jax.numpy as jnp

from spago_jax.core import Array


def ban_where(scores: Array, banned: Array, here: Array | bool = True) -> Array:
    """Returns -inf for the tokens of a mask bool[vocabulary], if ``here`` is true.

    >>> ban_where(jnp.zeros((1, 1, 3)), jnp.array([False, True, False]))
    Array([[[  0., -inf,   0.]]], dtype=float32)
    """
    return jnp.where(banned & here, -jnp.inf, scores)


def least_length(scores: Array, length: Array, eos: Array, least: Array) -> Array:
    """Returns -inf for the tokens int[count] that end a text, while it is shorter than ``least`` tokens."""
    return scores.at[:, :, eos].set(jnp.where(length < least, -jnp.inf, scores[:, :, eos]))


def force(scores: Array, tokens: Array, here: Array) -> Array:
    """Returns 0 for the tokens int[count] and -inf for all others, if ``here`` is true.

    >>> force(jnp.zeros((1, 1, 3)), jnp.array([2]), jnp.array(True))
    Array([[[-inf, -inf,   0.]]], dtype=float32)
    """
    ours = jnp.any(jnp.arange(scores.shape[-1])[:, None] == tokens, axis=-1)
    return jnp.where(here, jnp.where(ours, 0.0, -jnp.inf), scores)


def finite(scores: Array) -> Array:
    """Returns 0 for NaN and the largest or smallest number for an infinite score."""
    limits = jnp.finfo(scores.dtype)
    return jnp.nan_to_num(scores, nan=0.0, posinf=float(limits.max), neginf=float(limits.min))
