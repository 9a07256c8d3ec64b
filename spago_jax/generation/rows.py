# SPDX-License-Identifier: BSD-2-Clause
"""The loop that takes the most probable token, or draws one: every text by itself."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.generation.draw import draw_one, largest
from spago_jax.generation.loop import Numbers, Plan, draw_keys, ended, last_tokens, ruled, start_text, with_token
from spago_jax.generation.protocol import Decoder


class Rows(NamedTuple):
    """Where the loop is.

    Attributes:
        state: of the model.
        ids: int32[batch, beams, room], the texts.
        length: of all texts, a scalar.
        done: bool[batch, beams], which are finished.
        token_scores: [batch, beams, room], the log-probabilities of their tokens; None where they are not wanted.
        source: what the rules know of the encoder's input; None without one.
    """

    state: Any
    ids: Array
    length: Array
    done: Array
    token_scores: Array | None
    source: Array | None

    @property
    def open(self) -> Array:
        """Whether a text is not finished."""
        return ~jnp.all(self.done)


def start_rows(state: Any, prompt: Array, source: Array | None, plan: Plan, numbers: Numbers) -> Rows:
    """Returns where the loop begins; padding of the batch is finished from the start."""
    ids = start_text(prompt, plan)
    done = jnp.broadcast_to(jnp.arange(ids.shape[0])[:, None] >= numbers.items, ids.shape[:2])
    scores = jnp.zeros(ids.shape, jnp.float32) if plan.scores else None
    return Rows(state, ids, jnp.asarray(plan.prompt, jnp.int32), done, scores, source)


def step_rows(model: Decoder, at: Rows, plan: Plan, numbers: Numbers) -> Rows:
    """Writes one more token of every text; a finished one gets the padding token.

    A token's score is its log-probability after the rules: ``log_softmax(ruled logits)[token]``.
    """
    batch, beams, _ = at.ids.shape
    logits, state = model.step(last_tokens(at.ids, at.length), at.state)
    scores = ruled(logits.astype(jnp.float32), at.ids, at.length, at.source, plan, numbers)
    if plan.sample:
        keys = draw_keys(batch, at.length, plan, numbers)
        uniform = jax.vmap(lambda key: jax.random.uniform(key, (beams,)))(keys)
        tokens = draw_one(scores, uniform)
    else:
        tokens = largest(scores, 1)[1][..., 0]
    token_scores = at.token_scores
    if token_scores is not None:
        chosen = jnp.take_along_axis(scores, tokens[..., None], axis=-1)[..., 0]
        logs = jnp.where(at.done, 0.0, chosen - jax.nn.logsumexp(scores, axis=-1))
        token_scores = jax.lax.dynamic_update_index_in_dim(token_scores, logs, at.length, axis=-1)
    tokens = jnp.where(at.done, numbers.pad, tokens)
    ids = with_token(at.ids, tokens, at.length)
    done = at.done | ended(ids, tokens, at.length, numbers)
    return Rows(state, ids, at.length + 1, done, token_scores, at.source)
