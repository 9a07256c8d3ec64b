# SPDX-License-Identifier: BSD-2-Clause
"""Sampling from a recurrent language model, one loop on the device."""

from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from spago_jax.core import Array


class RecurrentLM(Protocol):
    """Ids [..., time] and a state to logits [..., time, vocabulary] and the next state."""

    def __call__(self, ids: Array, /, *, state: Any) -> tuple[Array, Any]:
        """The logits and the state after reading ``ids``."""
        ...


def pick(
    key: Array,
    logits: Array,
    temperature: Array,
    top_k: int | None = None,
    top_p: Array | float | None = None,
    never: Sequence[int] = (),
) -> tuple[Array, Array]:
    """Returns one id from ``softmax(logits / temperature)`` and its log-probability under ``softmax(logits)``.

    A temperature of 0 takes the most probable id. spaGO's generator returns the mean of temperature-scaled *logits*
    as its "log probability"; this is the log-probability itself.

    Args:
        key: the randomness.
        logits: [..., vocabulary].
        temperature: a scalar, 0 or more.
        top_k: choose among the most probable ids only.
        top_p: of these, choose among the fewest that have this probability together (Holtzman et al., 2020).
        never: ids that are never chosen.
    """
    logits = logits.astype(jnp.float32)
    possible = logits.at[..., jnp.array(never, jnp.int32)].set(-jnp.inf) if never else logits
    scores = possible / jnp.maximum(temperature, 1e-6)
    if top_k is not None:
        kth = jax.lax.top_k(scores, min(top_k, scores.shape[-1]))[0][..., -1:]
        scores = jnp.where(scores < kth, -jnp.inf, scores)
    if top_p is not None:
        ascending = jnp.sort(scores, axis=-1)
        below = jnp.cumsum(jax.nn.softmax(ascending), axis=-1)
        kept = (below > 1 - jnp.asarray(top_p)).at[..., -1].set(True)  # the most probable one always stays
        least = jnp.min(ascending, axis=-1, keepdims=True, where=kept, initial=jnp.inf)
        scores = jnp.where(scores < least, -jnp.inf, scores)
    drawn = jax.random.categorical(key, scores, axis=-1)
    chosen = jnp.where(temperature > 0, drawn, jnp.argmax(possible, axis=-1)).astype(jnp.int32)
    log_probability = jnp.take_along_axis(jax.nn.log_softmax(logits), chosen[..., None], axis=-1)[..., 0]
    return chosen, log_probability


def sample(
    model: RecurrentLM,
    logits: Array,
    state: Any,
    key: Array,
    temperature: Array | float,
    *,
    count: int,
    top_k: int | None = None,
    top_p: Array | float | None = None,
    never: Sequence[int] = (),
) -> tuple[Array, Array, Array, Any]:
    """Writes ``count`` more characters (or tokens), each read back in; pure, for ``compile`` or ``jax.jit``.

    Args:
        model: the language model.
        logits: of the first id to write, [..., vocabulary], as reading the prompt gave them.
        state: after the prompt.
        key: the randomness.
        temperature: above 1 flatter, below 1 sharper, 0 the most probable.
        count: how many; a static number.
        top_k: choose among the most probable ones only; a static number.
        top_p: choose among the fewest that have this probability together.
        never: ids that are never written.

    Returns:
        The ids int32[..., count], their log-probabilities, and the logits and the state to go on from.
    """
    heat = jnp.asarray(temperature, jnp.float32)

    def step(carry: tuple[Array, Any], key: Array) -> tuple[tuple[Array, Any], tuple[Array, Array]]:
        logits, state = carry
        chosen, log_probability = pick(key, logits, heat, top_k, top_p, never)
        logits, state = model(chosen[..., None], state=state)
        return (logits[..., 0, :], state), (chosen, log_probability)

    (logits, state), (ids, scores) = jax.lax.scan(step, (logits, state), jax.random.split(key, count))
    return jnp.moveaxis(ids, 0, -1), jnp.moveaxis(scores, 0, -1), logits, state
