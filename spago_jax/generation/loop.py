# SPDX-License-Identifier: BSD-2-Clause
"""What the loops share: what is static about them, their numbers, and where a text ends."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.generation.protocol import NOTHING, Written
from spago_jax.generation.rules.order import Chosen, OwnRule, apply_rules
from spago_jax.generation.rules.penalties import ends_with

Leaf = Any
"""An array of NumPy before a program begins, and one of JAX inside it."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a compiled loop depends on beside the shapes of its arguments.

    Attributes:
        beams: texts per item that are searched or drawn together.
        search: whether they are beams, as opposed to texts of their own.
        sample: whether tokens are drawn.
        room: places for tokens in a text, the prompt included.
        prompt: tokens of the prompt.
        early: when a search ends, as ``early_stopping`` says.
        grows: whether ``length_penalty`` is above 0.
        scores: whether the scores of tokens are wanted.
        rules: which run.
        own: a user's rules.
    """

    beams: int
    search: bool
    sample: bool
    room: int
    prompt: int
    early: bool | str
    grows: bool
    scores: bool
    rules: tuple[Chosen, ...]
    own: tuple[OwnRule, ...] = ()


class Numbers(NamedTuple):
    """What a loop computes with: arguments of the compiled program.

    Attributes:
        rules: the numbers of the rules by name.
        eos: int32[count], the tokens that end a text.
        stop: int32[count, width], sequences that do, ``NOTHING`` on the left of shorter ones.
        pad: what follows the end.
        longest: tokens that a text may have, the prompt included.
        powers: [room + 1], the number of new tokens to the power of the length penalty.
        key: the randomness.
        items: of the batch that are there; those after them are padding.
        first: the number of the first item, for drawing.
    """

    rules: dict[str, Any]
    eos: Leaf
    stop: Leaf
    pad: Leaf
    longest: Leaf
    powers: Leaf
    key: Leaf
    items: Leaf
    first: Leaf


def draw_keys(batch: int, length: Array, plan: Plan, numbers: Numbers) -> Array:
    """Returns a key per item: of its number and its new tokens, whatever else is in the batch."""
    here = jax.random.fold_in(numbers.key, length - plan.prompt)
    return jax.vmap(lambda row: jax.random.fold_in(here, row))(numbers.first + jnp.arange(batch))


def start_text(prompt: Array, plan: Plan) -> Array:
    """Returns texts int32[batch, beams, room] that begin with a prompt [batch, tokens]."""
    batch, size = prompt.shape
    texts = jnp.full((batch, plan.beams, plan.room), NOTHING, jnp.int32)
    return texts.at[:, :, :size].set(prompt[:, None, :].astype(jnp.int32))


def last_tokens(ids: Array, length: Array) -> Array:
    """Returns the token [batch, beams] that each text ends with."""
    return jax.lax.dynamic_index_in_dim(ids, length - 1, axis=-1, keepdims=False)


def with_token(ids: Array, tokens: Array, length: Array) -> Array:
    """Returns the texts with a token [batch, beams] at their ends."""
    return jax.lax.dynamic_update_index_in_dim(ids, tokens.astype(ids.dtype), length, axis=-1)


def ended(ids: Array, tokens: Array, length: Array, numbers: Numbers) -> Array:
    """Returns whether each text, which the tokens [batch, beams] are at the ends of, is finished by them."""
    done = jnp.any(tokens[..., None] == numbers.eos, axis=-1)
    if numbers.stop.shape[0]:
        done = done | jnp.any(ends_with(ids, length + 1, numbers.stop), axis=-1)
    return done | (length + 1 >= numbers.longest)


def ruled(scores: Array, ids: Array, length: Array, source: Array | None, plan: Plan, numbers: Numbers) -> Array:
    """Returns the scores after the rules."""
    if not plan.rules and not plan.own:
        return scores
    written = Written(ids, length, plan.prompt, source)
    return apply_rules(scores, written, plan.rules, numbers.rules, plan.own)
