# SPDX-License-Identifier: BSD-2-Clause
"""Sampling from a recurrent language model, one loop on the device."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from spago_jax.core import Array


class RecurrentLM(Protocol):
    """Ids [..., time] and a state to logits [..., time, vocabulary] and the next state."""

    def __call__(self, ids: Array, /, *, state: Any) -> tuple[Array, Any]:
        """The logits and the state after reading ``ids``."""
        ...


def pick(key: Array, logits: Array, temperature: Array, top_k: int | None = None) -> tuple[Array, Array]:
    """One id from ``softmax(logits / temperature)`` and its log-probability under ``softmax(logits)``.

    A temperature of 0 takes the most probable id. spaGO's generator returns the mean of temperature-scaled *logits*
    as its "log probability"; this is the log-probability itself.

    Args:
        key: the randomness.
        logits: [..., vocabulary].
        temperature: a scalar, 0 or more.
        top_k: choose among the most probable ones only.
    """
    logits = logits.astype(jnp.float32)
    scores = logits
    if top_k is not None:
        kth = jax.lax.top_k(logits, top_k)[0][..., -1:]
        scores = jnp.where(logits < kth, -jnp.inf, logits)
    drawn = jax.random.categorical(key, scores / jnp.maximum(temperature, 1e-6), axis=-1)
    chosen = jnp.where(temperature > 0, drawn, jnp.argmax(scores, axis=-1)).astype(jnp.int32)
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
) -> tuple[Array, Array, Array, Any]:
    """Writes ``count`` more characters (or tokens), each read back in; pure, for ``compile`` or ``jax.jit``.

    Args:
        model: the language model.
        logits: of the first id to write, [..., vocabulary], as reading the prompt gave them.
        state: after the prompt.
        key: the randomness.
        temperature: above 1 flatter, below 1 sharper, 0 the most probable.
        count: how many; a static number.
        top_k: choose among the most probable ones only.

    Returns:
        The ids int32[..., count], their log-probabilities, and the logits and the state to go on from.
    """
    heat = jnp.asarray(temperature, jnp.float32)

    def step(carry: tuple[Array, Any], key: Array) -> tuple[tuple[Array, Any], tuple[Array, Array]]:
        logits, state = carry
        chosen, log_probability = pick(key, logits, heat, top_k)
        logits, state = model(chosen[..., None], state=state)
        return (logits[..., 0, :], state), (chosen, log_probability)

    (logits, state), (ids, scores) = jax.lax.scan(step, (logits, state), jax.random.split(key, count))
    return jnp.moveaxis(ids, 0, -1), jnp.moveaxis(scores, 0, -1), logits, state
