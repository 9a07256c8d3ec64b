# SPDX-License-Identifier: BSD-2-Clause
"""The loop that searches with beams, as transformers does."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.generation.draw import best, draw_some, largest
from spago_jax.generation.loop import Numbers, Plan, draw_keys, ended, last_tokens, ruled, start_text, with_token
from spago_jax.generation.protocol import Decoder

_NEVER = -1.0e9  # what is added to a score that is not to be chosen


class Kept(NamedTuple):
    """Texts with their scores, best first.

    Attributes:
        ids: int32[batch, beams, room].
        scores: [batch, beams].
        token_scores: [batch, beams, room]; None where they are not wanted.
    """

    ids: Array
    scores: Array
    token_scores: Array | None

    def taken(self, places: Array) -> "Kept":
        """Returns the texts at int[batch, count]."""
        return jax.tree.map(lambda leaf: _gather(leaf, places), self)

    def joined(self, others: "Kept") -> "Kept":
        """Returns both, these first."""
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), self, others)


class Beams(NamedTuple):
    """Where the loop is.

    Attributes:
        state: of the model.
        running: the texts that go on; their scores are sums of log-probabilities.
        length: of these, a scalar.
        finished: the best finished texts; their scores are divided by a power of their length.
        full: bool[batch, beams], which of ``finished`` are there.
        ends: int32[batch, beams], the lengths of ``finished``.
        better: bool[batch], whether a running text may still become better than a finished one.
        stuck: whether no text can go on.
        source: what the rules know of the encoder's input; None without one.
        early: ``early_stopping is True``, kept beside them for ``open``.
    """

    state: Any
    running: Kept
    length: Array
    finished: Kept
    full: Array
    ends: Array
    better: Array
    stuck: Array
    source: Array | None
    early: Array

    @property
    def open(self) -> Array:
        """Whether the search goes on."""
        return jnp.any(self.better) & ~(jnp.all(self.full) & self.early) & ~self.stuck

    @property
    def ids(self) -> Array:
        """The running texts."""
        return self.running.ids


def start_beams(state: Any, prompt: Array, source: Array | None, plan: Plan, numbers: Numbers) -> Beams:
    """Returns where the search begins: one beam is there, the others are copies of it that cannot win."""
    ids = start_text(prompt, plan)
    batch, beams, _ = ids.shape
    tokens = jnp.zeros(ids.shape, jnp.float32) if plan.scores else None
    running = jnp.broadcast_to(jnp.where(jnp.arange(beams) == 0, 0.0, _NEVER), (batch, beams))
    there = jnp.arange(batch) < numbers.items
    return Beams(
        state=state,
        running=Kept(ids, running.astype(jnp.float32), tokens),
        length=jnp.asarray(plan.prompt, jnp.int32),
        finished=Kept(ids, jnp.full((batch, beams), _NEVER, jnp.float32), tokens),
        full=jnp.broadcast_to(~there[:, None], (batch, beams)),
        ends=jnp.full((batch, beams), plan.prompt, jnp.int32),
        better=there,
        stuck=jnp.asarray(False),
        source=source,
        early=jnp.asarray(plan.early is True),
    )


def step_beams(model: Decoder, at: Beams, plan: Plan, numbers: Numbers) -> Beams:
    """Writes one more token of every beam.

    Of all continuations the best ``max(2, 1 + ends) beams`` are candidates. The best ``beams`` of them that do not end
    go on; those among the first ``beams`` that end are finished, with the score

        sum of the tokens' log-probabilities / (new tokens) ** length_penalty

    where a log-probability is that of ``log_softmax(logits)`` after the rules, not normalized again.
    """
    batch, beams, _ = at.ids.shape
    logits, state = model.step(last_tokens(at.ids, at.length), at.state)
    count = max(2, 1 + numbers.eos.shape[0]) * beams
    scores, places, gains = _candidates(logits.astype(jnp.float32), at, count, plan, numbers)
    parents, tokens = places // logits.shape[-1], (places % logits.shape[-1]).astype(jnp.int32)

    # The candidates as texts.
    texts = at.running.taken(parents)
    ids = with_token(texts.ids, tokens, at.length)
    token_scores = texts.token_scores
    if token_scores is not None:
        token_scores = jax.lax.dynamic_update_index_in_dim(token_scores, gains, at.length, axis=-1)
    done = ended(ids, tokens, at.length, numbers)

    # Those that go on.
    going = scores + jnp.where(done, _NEVER, 0.0)
    going, chosen = best(going, jnp.broadcast_to(jnp.arange(count), going.shape), beams)
    running = Kept(ids, scores, token_scores).taken(chosen)._replace(scores=going)

    # Those that are finished.
    new = at.length + 1 - plan.prompt
    first = jnp.arange(count) < beams
    closed = jnp.all(at.full, axis=-1, keepdims=True) & at.early
    ending = scores / numbers.powers[new]
    ending = ending + jnp.where(closed, _NEVER, 0.0)
    ending = ending + jnp.where(at.better[:, None], 0.0, _NEVER)
    ending = ending + jnp.where(done & first, 0.0, _NEVER)
    merged = at.finished.joined(Kept(ids, ending, token_scores))
    ends = jnp.concatenate([at.ends, jnp.broadcast_to(at.length + 1, (batch, count))], axis=1)
    full = jnp.concatenate([at.full, done & first], axis=1)
    _, kept = jax.lax.top_k(merged.scores, beams)
    finished, full, ends = merged.taken(kept), _gather(full, kept), _gather(ends, kept)

    return Beams(
        state=model.reorder(state, _gather(parents, chosen)),
        running=running,
        length=at.length + 1,
        finished=finished,
        full=full,
        ends=ends,
        better=at.better & _may_improve(running.scores, finished.scores, full, new, plan, numbers),
        stuck=jnp.all(done | (jnp.arange(batch) >= numbers.items)[:, None]),
        source=at.source,
        early=at.early,
    )


def _candidates(
    logits: Array, at: Beams, count: int, plan: Plan, numbers: Numbers
) -> tuple[Array, Array, Array | None]:
    """The best continuations of an item's beams: their scores, places ``beam * vocabulary + token``, and gains."""
    batch, beams, vocabulary = logits.shape
    total = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    before = at.running.scores[..., None]
    if plan.sample:
        gains = ruled(logits - total, at.ids, at.length, at.source, plan, numbers)
        sums = (gains + before).reshape(batch, beams * vocabulary)
        scores, places = draw_some(sums, draw_keys(batch, at.length, plan, numbers), count)
    elif plan.rules or plan.own:
        sums = ruled(logits - total, at.ids, at.length, at.source, plan, numbers) + before
        scores, places = _best_of_beams(sums, count)
    else:  # the order of the logits is that of the log-probabilities, so that these need not all be computed
        each = min(count, vocabulary)
        found, tokens = largest(logits, each)
        sums = (found - total) + before
        at_beam = jnp.arange(beams)[:, None] * vocabulary
        scores, places = best(sums.reshape(batch, -1), (tokens + at_beam).reshape(batch, -1), count)
    gains = scores - _gather(at.running.scores, places // vocabulary) if plan.scores else None
    return scores, places, gains


def _best_of_beams(sums: Array, count: int) -> tuple[Array, Array]:
    """The best of each beam, and the best of these: of equal ones the lower beam, then the lower token."""
    batch, beams, vocabulary = sums.shape
    found, tokens = largest(sums, min(count, vocabulary))
    places = tokens + jnp.arange(beams)[:, None] * vocabulary
    return best(found.reshape(batch, -1), places.reshape(batch, -1), count)


def _may_improve(running: Array, finished: Array, full: Array, new: Array, plan: Plan, numbers: Numbers) -> Array:
    """Whether the best running text of an item may become better than its worst finished one."""
    length = numbers.longest - plan.prompt if plan.early == "never" and plan.grows else new
    bound = running[:, :1] / numbers.powers[length]
    worst = jnp.where(full, jnp.min(finished, axis=-1, keepdims=True), _NEVER)
    return jnp.any(bound > worst, axis=-1)


def _gather(leaf: Array, places: Array) -> Array:
    """[batch, beams, ...] at int[batch, count]."""
    return jnp.take_along_axis(leaf, places.reshape(*places.shape, *(1,) * (leaf.ndim - 2)), axis=1)
