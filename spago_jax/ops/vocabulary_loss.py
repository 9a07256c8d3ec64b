# SPDX-License-Identifier: BSD-2-Clause
"""The cross-entropy over a large vocabulary, piece by piece: the logits of all of it are never in memory."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError
from spago_jax.ops.linear import accumulation_dtype, matmul
from spago_jax.ops.losses import cross_entropy

__all__ = ["vocabulary_cross_entropy"]


def vocabulary_cross_entropy(
    states: jax.Array,
    weight: jax.Array,
    labels: jax.Array,
    *,
    bias: jax.Array | None = None,
    label_smoothing: float = 0.0,
    chunk: int | None = None,
) -> jax.Array:
    """``cross_entropy(states @ weight.T + bias, labels)``, with so many rows of the weight at a time.

    With ``lse`` the running ``log sum exp`` of the logits, ``loss = lse - (1 - s) logit[label] - s mean(logits)``. The
    gradient computes the logits of each piece once more, so that of [tokens, vocabulary] numbers [tokens, chunk] are
    kept. The result is that of the whole, up to the order of sums.

    Args:
        states: [..., features].
        weight: [vocabulary, features].
        labels: int[...].
        bias: [vocabulary].
        label_smoothing: s, in [0, 1).
        chunk: rows of the weight at a time; None: all.

    Returns:
        [...], in float32 at least.

    Raises:
        InputError: where the shapes do not fit, or ``chunk`` is below 1.

    >>> states, weight = jnp.ones((2, 3)), jnp.zeros((5, 3))
    >>> [round(float(loss), 4) for loss in vocabulary_cross_entropy(states, weight, jnp.array([0, 4]), chunk=2)]
    [1.6094, 1.6094]
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk is {chunk}, expected 1 or more rows of the vocabulary, or None for all")
    size = weight.shape[0]
    if chunk is None or chunk >= size:
        logits = matmul(states, weight)
        return cross_entropy(logits if bias is None else logits + bias, labels, label_smoothing=label_smoothing)
    if states.shape[:-1] != labels.shape:
        raise InputError(f"labels have shape {tuple(labels.shape)}, expected {tuple(states.shape[:-1])} as the states")
    if not 0.0 <= label_smoothing < 1.0:
        raise InputError(f"label_smoothing is {label_smoothing}, expected at least 0 and less than 1")
    dtype = accumulation_dtype(jnp.promote_types(states.dtype, weight.dtype))
    pieces = -(-size // chunk)
    missing = pieces * chunk - size
    biases = jnp.zeros(size, dtype) if bias is None else bias.astype(dtype)
    parts = (
        jnp.arange(pieces) * chunk,
        jnp.pad(weight, ((0, missing), (0, 0))).reshape(pieces, chunk, -1),
        jnp.pad(biases, (0, missing)).reshape(pieces, chunk),
    )

    @jax.checkpoint  # the logits are made again for the gradient
    def step(carry: tuple[jax.Array, ...], part: tuple[jax.Array, ...]) -> tuple[tuple[jax.Array, ...], None]:
        (total, gold, everything), (first, rows, offsets) = carry, part
        logits = matmul(states, rows).astype(dtype) + offsets
        number = first + jnp.arange(chunk)
        real = number < size
        total = jnp.logaddexp(total, jax.nn.logsumexp(jnp.where(real, logits, -jnp.inf), axis=-1))
        gold = gold + jnp.sum(jnp.where(number == labels[..., None], logits, 0), axis=-1)
        return (total, gold, everything + jnp.sum(jnp.where(real, logits, 0), axis=-1)), None

    zeros = jnp.zeros(labels.shape, dtype)
    # Not -inf: the gradient of logaddexp there is not a number.
    start = (jnp.full(labels.shape, jnp.finfo(dtype).min / 2, dtype), zeros, zeros)
    (total, gold, everything), _ = jax.lax.scan(step, start, parts)
    return total - (1.0 - label_smoothing) * gold - label_smoothing * everything / size
