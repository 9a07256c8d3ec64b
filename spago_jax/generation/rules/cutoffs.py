# SPDX-License-Identifier: BSD-2-Clause
"""Rules of sampling: which tokens are improbable enough to be left out.

All take and return scores [..., vocabulary] and put -inf in the place of what is left out; ``least`` is how many stay
in any case. Tokens of equal scores stay or go together.
"""

import jax
import jax.numpy as jnp

from spago_jax.core import Array


def top_k(scores: Array, k: Array | int, most: int) -> Array:
    """Keeps the ``k`` most probable tokens (Fan et al., 2018).

    Args:
        scores: [..., vocabulary].
        k: how many; may be traced.
        most: what k is at most; static.

    >>> top_k(jnp.array([1.0, 3.0, 2.0]), 2, 2)
    Array([-inf,   3.,   2.], dtype=float32)
    """
    most = min(most, scores.shape[-1])
    kth = jnp.take(jax.lax.top_k(scores, most)[0], jnp.minimum(k, most) - 1, axis=-1)
    return jnp.where(scores < kth[..., None], -jnp.inf, scores)


def top_p(scores: Array, p: Array | float, least: int = 1, most: int | None = None) -> Array:
    """Keeps the fewest tokens that have the probability ``p`` together (Holtzman et al., 2020).

    Args:
        scores: [..., vocabulary].
        p: above 0, at most 1; may be traced.
        least: how many stay in any case; static.
        most: how many scores are finite at most, where that is known; static.

    >>> jnp.isfinite(top_p(jnp.log(jnp.array([0.2, 0.5, 0.3])), 0.7))
    Array([False,  True,  True], dtype=bool)
    """
    ascending = _ascending(scores, most)
    kept = jnp.cumsum(jax.nn.softmax(ascending, axis=-1), axis=-1) > 1 - jnp.asarray(p)
    kept = kept.at[..., -least:].set(True)
    lowest = jnp.min(ascending, axis=-1, keepdims=True, where=kept, initial=jnp.inf)
    return jnp.where(scores < lowest, -jnp.inf, scores)


def min_p(scores: Array, p: Array | float, least: int = 1) -> Array:
    """Keeps the tokens that have at least ``p`` times the probability of the most probable one (Nguyen et al., 2024).

    >>> jnp.isfinite(min_p(jnp.log(jnp.array([0.2, 0.7, 0.1])), 0.2))
    Array([ True,  True, False], dtype=bool)
    """
    probabilities = jax.nn.softmax(scores, axis=-1)
    return _without(scores, probabilities < p * probabilities.max(-1, keepdims=True), least)


def typical(scores: Array, mass: Array | float, least: int = 1) -> Array:
    """Keeps the tokens nearest to the expected surprise that have the probability ``mass`` together.

    The distance of a token is ``|-log p - H|`` with the entropy H in nats (Meister et al., 2023).

    >>> jnp.isfinite(typical(jnp.log(jnp.array([0.1, 0.6, 0.3])), 0.5))
    Array([False,  True,  True], dtype=bool)
    """
    logs = jax.nn.log_softmax(scores, axis=-1)
    probabilities = jnp.exp(logs)
    entropy = -jnp.sum(jnp.where(probabilities > 0, probabilities * logs, 0.0), axis=-1, keepdims=True)
    distances = jnp.abs(-logs - entropy)
    order = jnp.argsort(distances, axis=-1)
    mass_so_far = jnp.cumsum(jnp.take_along_axis(probabilities, order, axis=-1), axis=-1)
    last = jnp.minimum(jnp.sum(mass_so_far < mass, axis=-1, keepdims=True), scores.shape[-1] - 1)
    farthest = jnp.take_along_axis(distances, jnp.take_along_axis(order, jnp.maximum(last, least - 1), -1), -1)
    return jnp.where(distances > farthest, -jnp.inf, scores)


def epsilon(scores: Array, cutoff: Array | float, least: int = 1) -> Array:
    """Leaves out the tokens of a probability below ``cutoff`` (Hewitt et al., 2022).

    >>> jnp.isfinite(epsilon(jnp.log(jnp.array([0.2, 0.7, 0.1])), 0.15))
    Array([ True,  True, False], dtype=bool)
    """
    return _without(scores, jax.nn.softmax(scores, axis=-1) < cutoff, least)


def eta(scores: Array, cutoff: Array | float, least: int = 1) -> Array:
    """Leaves out the tokens of a probability below ``min(cutoff, sqrt(cutoff) exp(-H))`` (Hewitt et al., 2022).

    H is the entropy in nats.

    >>> jnp.isfinite(eta(jnp.log(jnp.array([0.2, 0.7, 0.1])), 0.15))
    Array([ True,  True, False], dtype=bool)
    """
    logs = jax.nn.log_softmax(scores, axis=-1)
    probabilities = jnp.exp(logs)
    entropy = -jnp.sum(jnp.where(probabilities > 0, probabilities * logs, 0.0), axis=-1, keepdims=True)
    cutoff = jnp.asarray(cutoff)
    return _without(scores, probabilities < jnp.minimum(cutoff, jnp.sqrt(cutoff) * jnp.exp(-entropy)), least)


def _ascending(scores: Array, most: int | None) -> Array:
    if most is None or most >= scores.shape[-1]:
        return jnp.sort(scores, axis=-1)
    return jax.lax.top_k(scores, most)[0][..., ::-1]


def _without(scores: Array, left_out: Array, least: int) -> Array:
    if least == 1:
        kth = scores.max(-1, keepdims=True)
    else:
        kth = jax.lax.top_k(scores, min(least, scores.shape[-1]))[0][..., -1:]
    return jnp.where(left_out & (scores < kth), -jnp.inf, scores)
