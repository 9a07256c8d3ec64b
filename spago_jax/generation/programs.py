# SPDX-License-Identifier: BSD-2-Clause
"""The loops as programs: from beginning to end in one call of the device, or in parts. Pure; ``plan`` is static."""

from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.generation.beams import Beams, start_beams, step_beams
from spago_jax.generation.loop import Numbers, Plan
from spago_jax.generation.protocol import NOTHING, Decoder, continues
from spago_jax.generation.rows import Rows, start_rows, step_rows


def begin(model: Decoder, ids: Array, mask: Array, prompt: Array, numbers: Numbers, plan: Plan) -> Rows | Beams:
    """Returns where a loop begins: the model has read its input and all of the prompt but the last token."""
    state = model.start(ids, mask, beams=plan.beams, length=plan.room)
    if plan.search:
        state = model.reorder(state, jnp.broadcast_to(jnp.arange(plan.beams), (ids.shape[0], plan.beams)))
    sourced = not continues(model)

    def read(place: Array, state: Any) -> Any:
        tokens = jnp.broadcast_to(prompt[:, place, None], (prompt.shape[0], plan.beams))
        return model.step(tokens, state)[1]

    if sourced and plan.prompt > 1:
        state = jax.lax.fori_loop(0, plan.prompt - 1, read, state)
    known = {rule.name for rule in plan.rules}
    wanted = sourced and known & {"encoder_repetition_penalty", "encoder_no_repeat_ngram_size"}
    source = jnp.where(mask, ids, NOTHING) if wanted else None
    start = start_beams if plan.search else start_rows
    return start(state, prompt, source, plan, numbers)


def advance(model: Decoder, at: Any, numbers: Numbers, until: Array, plan: Plan) -> Any:
    """Returns where the loop is when texts have ``until`` tokens, or are all finished."""
    step: Any = step_beams if plan.search else step_rows

    def going(at: Any) -> Array:
        return at.open & (at.length < until)

    return jax.lax.while_loop(going, lambda at: step(model, at, plan, numbers), at)


def segment(model: Decoder, at: Any, numbers: Numbers, before: Array, plan: Plan, steps: int) -> tuple[Any, Array]:
    """Goes on for some steps; beside that the last tokens of each text, the new ones among them."""
    at = advance(model, at, numbers, before + steps, plan)
    return at, jax.lax.dynamic_slice_in_dim(at.ids, before, min(steps, plan.room), axis=-1)


def whole(model: Decoder, ids: Array, mask: Array, prompt: Array, numbers: Numbers, plan: Plan) -> Any:
    """Returns where the loop ends, without the state of the model."""
    at = begin(model, ids, mask, prompt, numbers, plan)
    at = advance(model, at, numbers, jnp.asarray(plan.room, jnp.int32), plan)
    return at._replace(state=None)
