# SPDX-License-Identifier: BSD-2-Clause
"""Rules against repetition of n-grams."""

import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.generation.protocol import NOTHING
from spago_jax.generation.rules.penalties import ban_tokens


def ban_ngrams(scores: Array, ids: Array, length: Array, size: int, *, known: Array | None = None) -> Array:
    """Returns the scores with -inf for each token that would complete an n-gram that is there already.

    Source: Paulus et al. (2017), "A deep reinforced model for abstractive summarization".

    Args:
        scores: [batch, beams, vocabulary].
        ids: int[batch, beams, time], the texts, ``NOTHING`` where nothing is written.
        length: of the texts in tokens.
        size: tokens per n-gram; static.
        known: int[batch, beams or 1, time], where the n-grams may not be taken from; the texts themselves by default.

    >>> ban_ngrams(jnp.zeros((1, 1, 3)), jnp.array([[[1, 2, 1, -1]]]), 3, 2)
    Array([[[  0.,   0., -inf]]], dtype=float32)
    """
    batch, beams, vocabulary = scores.shape
    texts = ids if known is None else known
    count = texts.shape[-1] - size + 1
    if count < 1 or ids.shape[-1] < size - 1:
        return scores
    tail = jnp.take(ids, length - size + 1 + jnp.arange(size - 1), axis=-1, mode="clip")
    match = jnp.broadcast_to(length >= size - 1, (*texts.shape[:2], count))
    for place in range(size - 1):
        match = match & (texts[:, :, place : place + count] == tail[:, :, place, None])
        match = match & (texts[:, :, place : place + count] != NOTHING)
    last = texts[:, :, size - 1 :]
    found = jnp.where(match & (last >= 0), last, vocabulary)
    return ban_tokens(scores, jnp.broadcast_to(found, (batch, beams, count)))
