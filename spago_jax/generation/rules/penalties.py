# SPDX-License-Identifier: BSD-2-Clause
"""Rules that make some tokens less, or more, probable. All take and return scores [batch, beams, vocabulary]."""

import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.generation.protocol import NOTHING


def penalize_seen(scores: Array, ids: Array, penalty: Array | float) -> Array:
    """Returns ``s * p`` where ``s < 0``, else ``s / p``, for every token that is among ``ids``.

    Source: Keskar et al. (2019), "CTRL". A penalty below 1 makes these tokens more probable.

    Args:
        scores: [batch, beams, vocabulary].
        ids: int[batch, beams or 1, time], ``NOTHING`` where there is none.
        penalty: above 0.

    >>> penalize_seen(jnp.array([[[1.0, -1.0, 3.0]]]), jnp.array([[[0, 1, -1]]]), 2.0)
    Array([[[ 0.5, -2. ,  3. ]]], dtype=float32)
    """
    batch, beams, vocabulary = scores.shape
    ids = jnp.broadcast_to(ids, (batch, beams, ids.shape[-1]))
    inside = (ids >= 0) & (ids < vocabulary)
    found = jnp.take_along_axis(scores, jnp.where(inside, ids, 0), axis=-1)
    return _put(scores, jnp.where(inside, ids, vocabulary), jnp.where(found < 0, found * penalty, found / penalty))


def ban_tokens(scores: Array, ids: Array) -> Array:
    """Returns the scores with -inf at int[batch, beams, count]; an id outside the vocabulary stands for none.

    >>> ban_tokens(jnp.zeros((1, 1, 3)), jnp.array([[[2, 3]]]))
    Array([[[  0.,   0., -inf]]], dtype=float32)
    """
    return _put(scores, ids, jnp.asarray(-jnp.inf, scores.dtype))


def bias_sequences(scores: Array, ids: Array, length: Array, prefixes: Array, last: Array, bias: Array) -> Array:
    """Adds ``bias[i]`` to the score of ``last[i]`` in every text that ends with ``prefixes[i]``.

    Args:
        scores: [batch, beams, vocabulary].
        ids: int[batch, beams, time], the texts.
        length: of the texts.
        prefixes: int[count, width], ``NOTHING`` on the left of shorter ones.
        last: int[count].
        bias: [count].

    >>> sevens = jnp.array([[7]]), jnp.array([1]), jnp.array([3.0])  # after 7, 1 is worth 3 more
    >>> bias_sequences(jnp.zeros((1, 1, 3)), jnp.array([[[5, 7, -1]]]), 2, *sevens)
    Array([[[0., 3., 0.]]], dtype=float32)
    """
    found = ends_with(ids, length, prefixes)
    return scores.at[:, :, last].add(jnp.where(found, bias, 0.0).astype(scores.dtype))


def ends_with(ids: Array, length: Array, sequences: Array) -> Array:
    """Returns whether each text ends with each sequence, bool[batch, beams, count].

    Args:
        ids: int[batch, beams, time].
        length: of the texts.
        sequences: int[count, width], ``NOTHING`` on the left of shorter ones; an empty one ends every text.
    """
    width = sequences.shape[-1]
    padded = jnp.pad(ids, ((0, 0), (0, 0), (width, 0)), constant_values=NOTHING)
    places = length + jnp.arange(width)  # in the padded texts: their last tokens
    tail = jnp.take(padded, places, axis=-1, mode="clip")
    return jnp.all((sequences == NOTHING) | (sequences == tail[:, :, None, :]), axis=-1)


def decay_length(scores: Array, length: Array, eos: Array, start: Array, factor: Array) -> Array:
    """Adds ``|s| (factor^(length - start) - 1)`` to the scores of the tokens that end a text, after ``start`` tokens.

    Args:
        scores: [batch, beams, vocabulary].
        length: of the texts.
        eos: int[count].
        start: of the growth, in tokens.
        factor: of the growth per token.
    """
    found = scores[:, :, eos]
    growth = jnp.where(length > start, factor ** (length - start).astype(scores.dtype) - 1, 0.0)
    return scores.at[:, :, eos].add(jnp.where(jnp.isfinite(found), jnp.abs(found) * growth, 0.0))


def _put(scores: Array, ids: Array, values: Array) -> Array:
    batch, beams, _ = scores.shape
    rows, places = jnp.arange(batch)[:, None, None], jnp.arange(beams)[None, :, None]
    return scores.at[rows, places, ids].set(values, mode="drop")
