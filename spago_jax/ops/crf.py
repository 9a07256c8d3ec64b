# SPDX-License-Identifier: BSD-2-Clause
"""The linear-chain conditional random field, in log space (Lafferty et al., 2001).

    score(y) = start[y_1] + sum_t emission_t[y_t] + sum_t follow[y_t, y_{t+1}] + end[y_last]
    log p(y) = score(y) - log sum_y' exp score(y')

``transitions`` is [(tags + 1), (tags + 1)] in spaGO's layout: row 0 holds START -> tag, column 0 holds
tag -> END, [i + 1, j + 1] holds tag i -> tag j, and [0, 0] is not used. ``allowed`` is a boolean matrix of the
same layout; a transition that is not allowed has the score ``BANNED``, so that no probability goes there and
no gradient comes from there, and all numbers stay finite.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from spago_jax.errors import InputError
from spago_jax.ops.broadcast import over
from spago_jax.ops.by_batch import by_batch
from spago_jax.ops.linear import accumulation_dtype, as_float
from spago_jax.ops.masks import check_lengths, length_mask, same_steps, some_steps, zero_padding

BANNED = -1e30
"""The score of a transition that is not allowed. Not -inf, whose gradients are NaN; e to this power is exactly 0."""


def allowed_matrix(start: ArrayLike, follow: ArrayLike, end: ArrayLike) -> jax.Array:
    """One boolean matrix [(n + 1), (n + 1)] from what may start [n], follow [n, n] and end [n].

    >>> allowed_matrix(jnp.array([True, False]), jnp.eye(2, dtype=bool), jnp.array([True, True]))
    Array([[ True,  True, False],
           [ True,  True, False],
           [ True, False,  True]], dtype=bool)
    """
    corner = jnp.ones((1, 1), bool)
    top = jnp.concatenate([corner, jnp.asarray(start, bool)[None, :]], axis=1)
    bottom = jnp.concatenate([jnp.asarray(end, bool)[:, None], jnp.asarray(follow, bool)], axis=1)
    return jnp.concatenate([top, bottom], axis=0)


def log_partition(
    emissions: jax.Array,
    transitions: jax.Array,
    lengths: jax.Array | None = None,
    *,
    allowed: jax.Array | None = None,
) -> jax.Array:
    """``log sum_y exp score(y)`` over all tag paths; 0 for a sequence without steps.

    Args:
        emissions: [..., time, tags].
        transitions: [tags + 1, tags + 1], see above.
        lengths: int[...]; None: all steps are real.
        allowed: bool[tags + 1, tags + 1], or None.

    Returns:
        [...], in float32 at least.

    Raises:
        InputError: where the shapes do not fit.

    >>> log_partition(jnp.zeros((3, 2)), jnp.zeros((3, 3)))  # 2 ** 3 paths of score 0
    Array(2.0794415, dtype=float32)
    """
    emissions, lengths, lead = _fold(emissions, transitions, lengths)
    scores = _scores(transitions, allowed, emissions.dtype)

    def of_each(scores, split):
        (start, follow, end), (emissions, lengths) = scores, split
        mask = length_mask(lengths, emissions.shape[0]).T[..., None]

        def body(alpha, inputs):
            return _advance(alpha, follow, *inputs), None

        alpha, _ = lax.scan(body, over(start, emissions[0]) + emissions[0], (emissions, _after_first(mask)))
        total = jax.nn.logsumexp(alpha + over(end, alpha), axis=-1)
        return jnp.where(lengths > 0, total, 0)

    return by_batch(of_each, scores, (emissions, lengths), axes=(1, 0), size=lengths.shape[0], out=0).reshape(lead)


def sequence_score(
    emissions: jax.Array,
    tags: jax.Array,
    transitions: jax.Array,
    lengths: jax.Array | None = None,
    *,
    allowed: jax.Array | None = None,
) -> jax.Array:
    """The score of one tag path; a path through a transition that is not allowed has about ``BANNED``.

    Args:
        emissions: [..., time, tags].
        tags: int[..., time]; what lies beyond the length is not read.
        transitions: [tags + 1, tags + 1].
        lengths: int[...]; None: all steps are real.
        allowed: bool[tags + 1, tags + 1], or None.

    Returns:
        [...].

    >>> sequence_score(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([0, 1]), jnp.zeros((3, 3)))
    Array(5., dtype=float32)
    """
    if tags.shape != emissions.shape[:-1]:
        raise InputError(
            f"tags have shape {tuple(tags.shape)}, expected {tuple(emissions.shape[:-1])} as the emissions"
        )
    count = emissions.shape[-1]
    emissions, lengths, lead = _fold(emissions, transitions, lengths)
    time, batch, _ = emissions.shape
    start, follow, end = _scores(transitions, allowed, emissions.dtype)
    mask = length_mask(lengths, time).T
    rows = tags.reshape(batch, time) if tags.shape[-1] else jnp.zeros((batch, time), tags.dtype)
    path = jnp.where(mask, rows.T, -1)
    # One-hot rows (zeros for padding): products instead of gathers, whose gradients would be scatters.
    hot = (path[..., None] == over(jnp.arange(count), path[..., None])).astype(emissions.dtype)
    score = jnp.sum(hot * emissions, axis=(0, 2))
    score = score + jnp.sum(_choose(hot, follow)[:-1] * hot[1:], axis=(0, 2))
    score = score + jnp.sum(hot[0] * over(start, hot[0]), axis=-1)
    last = jnp.arange(time)[:, None, None] == (lengths - 1)[None, :, None]
    score = score + jnp.sum(jnp.where(last, hot, 0) * over(end, hot), axis=(0, 2))
    return score.reshape(lead)


def log_likelihood(
    emissions: jax.Array,
    tags: jax.Array,
    transitions: jax.Array,
    lengths: jax.Array | None = None,
    *,
    allowed: jax.Array | None = None,
) -> jax.Array:
    """``log p(tags | emissions)`` of each sequence: the score less the log partition. Arguments as there.

    A path through a transition that is not allowed has the probability 0, and so the likelihood -inf, through which no
    gradient flows: a training step sees a loss that is not finite, and not a large number that only looks like one.
    ``banned_transitions`` says where it is.

    >>> log_likelihood(jnp.zeros((3, 2)), jnp.array([0, 1, 0]), jnp.zeros((3, 3)))  # one of 8 equal paths
    Array(-2.0794415, dtype=float32)
    """
    partition = log_partition(emissions, transitions, lengths, allowed=allowed)
    likelihood = sequence_score(emissions, tags, transitions, lengths, allowed=allowed) - partition
    if allowed is None:
        return likelihood
    impossible = banned_transitions(tags, allowed, lengths).any(axis=-1)
    return jnp.where(impossible, jnp.asarray(-jnp.inf, likelihood.dtype), likelihood)


def banned_transitions(tags: jax.Array, allowed: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
    """Returns which transitions of a tag path are not allowed: int[..., time] -> bool[..., time + 1].

    Entry t is the transition into step t, from START for the first; the one at the length goes to END.

    Args:
        tags: int[..., time]; the tags beyond the length are not read.
        allowed: bool[tags + 1, tags + 1].
        lengths: int[...]; None: all steps are real.

    >>> allowed = allowed_matrix([True, False], [[True, False], [True, True]], [True, True])  # 1 follows 1 alone
    >>> banned_transitions(jnp.array([0, 1, 1]), allowed)
    Array([False,  True, False, False], dtype=bool)
    """
    time = tags.shape[-1]
    lengths = jnp.full(tags.shape[:-1], time, jnp.int32) if lengths is None else jnp.asarray(lengths)
    rows = jnp.where(length_mask(lengths, time), tags + jnp.ones((), tags.dtype), jnp.zeros((), tags.dtype))
    outside = jnp.zeros((*tags.shape[:-1], 1), rows.dtype)  # START, END, and what lies beyond
    before, after = jnp.concatenate([outside, rows], axis=-1), jnp.concatenate([rows, outside], axis=-1)
    may = jnp.asarray(allowed).at[before, after].get(mode="clip")
    return ~may & length_mask(jnp.where(lengths > 0, lengths + 1, 0), time + 1)


def marginals(
    emissions: jax.Array,
    transitions: jax.Array,
    lengths: jax.Array | None = None,
    *,
    allowed: jax.Array | None = None,
) -> jax.Array:
    """``p(y_t = tag | emissions)`` [..., time, tags]; zeros beyond the lengths.

    They are the gradient of the log partition by the emissions.

    >>> marginals(jnp.zeros((2, 2)), jnp.zeros((3, 3)))
    Array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32)
    """
    emissions = as_float(emissions, transitions)
    emissions = emissions.astype(accumulation_dtype(emissions.dtype))
    return jax.grad(lambda e: jnp.sum(log_partition(e, transitions, lengths, allowed=allowed)))(emissions)


def viterbi(
    emissions: jax.Array,
    transitions: jax.Array,
    lengths: jax.Array | None = None,
    *,
    allowed: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The path of the highest score; of equal ones the tag of the lowest index, as in spaGO.

    Returns:
        tags int32[..., time] (0 beyond the lengths) and the scores [...] (0 for a sequence without steps).

    >>> viterbi(jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.zeros((3, 3)))
    (Array([0, 1], dtype=int32), Array(3., dtype=float32))
    """
    given = emissions
    emissions, lengths, lead = _fold(emissions, transitions, lengths)
    time, _, count = emissions.shape
    start, follow, end = _scores(transitions, allowed, emissions.dtype)
    mask = length_mask(lengths, time).T[..., None]
    identity = jnp.arange(count, dtype=jnp.int32)

    def forward(best, inputs):
        emission, real = inputs
        into = best[:, None, :] + follow.T
        highest = jnp.max(into, axis=-1)
        pointer = _first(into == highest[..., None])
        return jnp.where(real, highest + emission, best), jnp.where(real, pointer, identity)

    best, pointers = lax.scan(forward, over(start, emissions[0]) + emissions[0], (emissions, _after_first(mask)))
    best = best + over(end, best)
    score = jnp.max(best, axis=-1)
    last = _first(best == score[:, None])

    def backward(tag, pointer):
        before = jnp.sum(jnp.where(identity == tag[:, None], pointer, 0), axis=-1, dtype=jnp.int32)
        return before, tag

    _, tags = lax.scan(backward, last, pointers, reverse=True)
    tags = jnp.where(mask[..., 0], tags, 0).T
    tags = same_steps(tags.reshape(*lead, time, 1), given)[..., 0]
    return tags, jnp.where(lengths > 0, score, 0).reshape(lead)


def path_probabilities(
    emissions: jax.Array,
    tags: jax.Array,
    transitions: jax.Array,
    lengths: jax.Array | None = None,
    *,
    allowed: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Returns how probable a path is, step by step: ``p(y_t)`` and ``p(y_t | y_{t-1})``, both [..., time].

    By the forward-backward algorithm, in log space. The probability that a piece of the path, from step s up to and
    without step e, is right as a whole is ``p(y_s) * prod_{s < t < e} p(y_t | y_{t-1})``. The first step has ``p(y_0)``
    in both; steps beyond the lengths have 0.

    Source: Culotta and McCallum (2004), "Confidence estimation for information extraction".

    >>> single, link = path_probabilities(jnp.zeros((3, 2)), jnp.array([0, 1, 0]), jnp.zeros((3, 3)))
    >>> single, link
    (Array([0.5, 0.5, 0.5], dtype=float32), Array([0.5, 0.5, 0.5], dtype=float32))
    """
    given = emissions
    emissions, lengths, lead = _fold(emissions, transitions, lengths)
    time, batch, count = emissions.shape
    start, follow, end = _scores(transitions, allowed, emissions.dtype)
    if given.shape[-2] == 0:
        nothing = jnp.zeros((*lead, 0), emissions.dtype)
        return nothing, nothing
    real = length_mask(lengths, time).T[..., None]
    inner = _after_first(real)

    def forward(alpha, inputs):
        alpha = _advance(alpha, follow, *inputs)
        return alpha, alpha

    def backward(beta, inputs):  # from beta of this step to that of the step before
        emission, here = inputs
        before = jax.nn.logsumexp(follow[None] + (emission + beta)[:, None, :], axis=-1)
        return jnp.where(here, before, beta), beta

    last, alphas = lax.scan(forward, over(start, emissions[0]) + emissions[0], (emissions, inner))
    _, betas = lax.scan(backward, jnp.broadcast_to(end, (batch, count)), (emissions, inner), reverse=True)
    total = jax.nn.logsumexp(last + over(end, last), axis=-1)
    path = jnp.where(real[..., 0], tags.reshape(batch, time).T, -1)
    hot = (path[..., None] == over(jnp.arange(count), path[..., None])).astype(emissions.dtype)

    def chosen(scores: jax.Array) -> jax.Array:
        return (hot * scores).sum(-1)

    single = jnp.exp(chosen(alphas + betas) - total)
    steps = chosen(jnp.roll(_choose(hot, follow), 1, axis=0))
    past = jnp.roll(chosen(betas), 1, axis=0)
    link = jnp.where(inner[..., 0], jnp.exp(steps + chosen(emissions + betas) - past), single)
    ends = real[..., 0]
    single, link = (jnp.where(ends, values, 0).T.reshape(*lead, time) for values in (single, link))
    return single, link


def running_shares(emissions: jax.Array, transitions: jax.Array, stop: jax.Array | None = None) -> jax.Array:
    """The softmax over tags of the Viterbi scores up to each step: [..., time, tags].

    ``d_t[y] = emission_t[y] + max_x (d_{t-1}[x] + follow[x, y])``, ``share_t = softmax(d_t)``. It looks at what stands
    before a step alone, so it is not the probability of a tag; Flair prints its maximum as a tag's score.

    Args:
        emissions: [..., time, tags].
        transitions: [tags + 1, tags + 1]; [0, 0] is that of a sequence without steps.
        stop: [..., time], emissions of STOP, which Flair counts as one more tag; it has a share that is left out.

    >>> running_shares(jnp.zeros((1, 2)), jnp.zeros((3, 3))), running_shares(jnp.zeros((1, 1)), jnp.zeros((2, 2)),
    ...                                                                      jnp.zeros(1))
    (Array([[0.5, 0.5]], dtype=float32), Array([[0.5]], dtype=float32))
    """
    given = emissions
    emissions, _, lead = _fold(emissions, transitions, None)
    time, batch, count = emissions.shape
    start, follow, end = _scores(transitions, None, emissions.dtype)
    none = jnp.full((time, batch), BANNED, emissions.dtype)
    stops = none if stop is None else jnp.asarray(stop, emissions.dtype).reshape(batch, time).T

    def forward(best, inputs):
        emission, stopping, later = inputs
        new = jnp.where(later, jnp.max(best[:, None, :] + follow.T, axis=-1) + emission, best)
        last = jnp.where(later, jnp.max(best + over(end, best), axis=-1), transitions[0, 0].astype(best.dtype))
        whole = jnp.concatenate([new, (last + stopping)[:, None]], axis=-1)
        return new, jax.nn.softmax(whole, axis=-1)[:, :count]

    later = jnp.arange(time) > 0
    _, shares = lax.scan(forward, over(start, emissions[0]) + emissions[0], (emissions, stops, later))
    return same_steps(jnp.swapaxes(shares, 0, 1).reshape(*lead, time, count), given)


def _advance(alpha: jax.Array, follow: jax.Array, emission: jax.Array, here: jax.Array) -> jax.Array:
    """One step of the forward algorithm in log space, for the sequences whose step is real."""
    new = emission + jax.nn.logsumexp(alpha[:, :, None] + follow[None], axis=1)
    return jnp.where(here, new, alpha)


def _after_first(mask: jax.Array) -> jax.Array:
    """The mask without its first step, at which the scans hold what they start with.

    They pass over all steps, not over ``time - 1`` of them: a scan of a length that may be 0 cannot be exported with a
    free ``time``.
    """
    return mask & (jnp.arange(mask.shape[0]) > 0)[:, None, None]


def _first(hit: jax.Array) -> jax.Array:
    """The index of the first True on the last axis (an argmax, in a form that vectorises)."""
    count = hit.shape[-1]
    return jnp.min(jnp.where(hit, jnp.arange(count, dtype=jnp.int32), count - 1), axis=-1)


def _choose(hot: jax.Array, follow: jax.Array) -> jax.Array:
    """The rows of ``follow`` that one-hot rows choose, as one flat product in full precision."""
    flat = hot.reshape(-1, hot.shape[-1])
    return jnp.matmul(flat, follow, precision=lax.Precision.HIGHEST).reshape(hot.shape)


def _fold(emissions: jax.Array, transitions: jax.Array, lengths: jax.Array | None):
    """Time-major emissions with one batch axis, zero beyond the lengths; lengths of every sequence."""
    if emissions.ndim < 2:
        raise InputError(f"emissions have shape {tuple(emissions.shape)}, expected [..., time, tags]")
    count = emissions.shape[-1]
    if transitions.shape != (count + 1, count + 1):
        raise InputError(
            f"transitions have shape {tuple(transitions.shape)}, expected {(count + 1, count + 1)} for {count} tags: "
            f"row 0 is START -> tag, column 0 is tag -> END"
        )
    check_lengths(lengths, emissions, "emissions")
    emissions, lengths = some_steps(as_float(emissions, transitions), lengths)
    lead, time = tuple(emissions.shape[:-2]), emissions.shape[-2]
    lengths = jnp.full(lead, time, jnp.int32) if lengths is None else lengths
    emissions = zero_padding(emissions.astype(accumulation_dtype(emissions.dtype)), lengths)
    return emissions.reshape(math.prod(lead), time, count).swapaxes(0, 1), jnp.asarray(lengths).reshape(-1), lead


def _scores(transitions: jax.Array, allowed: jax.Array | None, dtype) -> tuple[jax.Array, jax.Array, jax.Array]:
    scores = transitions.astype(dtype)
    if allowed is not None:
        scores = jnp.where(allowed, scores, jnp.asarray(BANNED, dtype))
    return scores[0, 1:], scores[1:, 1:], scores[1:, 0]
