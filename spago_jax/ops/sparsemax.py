# SPDX-License-Identifier: BSD-2-Clause
"""Sparsemax: the nearest point of the simplex."""

import jax
import jax.numpy as jnp

from spago_jax.ops.linear import accumulation_dtype


def sparsemax_threshold(x: jax.Array) -> jax.Array:
    """The tau with ``sum_i max(0, x_i - tau) = 1`` over the last axis: [..., n] -> [..., 1].

    The support is the longest head of the sorted numbers with ``1 + k x_(k) > x_(1) + ... + x_(k)``.

    >>> sparsemax_threshold(jnp.array([1.0, 0.5, -1.0]))
    Array([0.25], dtype=float32)
    """
    ordered = jnp.flip(jnp.sort(x, axis=-1), axis=-1)
    counts = jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    sums = jnp.cumsum(ordered, axis=-1)
    size = jnp.sum(1.0 + counts * ordered > sums, axis=-1, keepdims=True)
    total = jnp.take_along_axis(sums, size - 1, axis=-1)
    return (total - 1.0) / size.astype(x.dtype)


@jax.custom_jvp
def sparsemax(x: jax.Array) -> jax.Array:
    """The Euclidean projection of the last axis onto the simplex: [..., n], kept.

        y = max(0, x - tau), sum(y) = 1;    dy = dx - mean of dx over the support, on the support

    Source: Martins and Astudillo, "From Softmax to Sparsemax" (2016); spaGO SparseMax. Its versions 1 clip the result
    to the largest input, which is wrong where that is less than the largest probability.

    >>> sparsemax(jnp.array([1.0, 0.5, -1.0]))
    Array([0.75, 0.25, 0.  ], dtype=float32)
    """
    wide = x.astype(accumulation_dtype(x.dtype))
    shifted = wide - jax.lax.stop_gradient(jnp.max(wide, axis=-1, keepdims=True))
    return jnp.maximum(shifted - sparsemax_threshold(shifted), 0.0).astype(x.dtype)


@sparsemax.defjvp
def _sparsemax_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y, (tangent,) = sparsemax(*primals), tangents
    support = y > 0
    kept = jnp.where(support, tangent, jnp.zeros((), tangent.dtype))
    count = jnp.sum(support, axis=-1, keepdims=True).astype(tangent.dtype)
    mean = jnp.sum(kept, axis=-1, keepdims=True) / count
    return y, jnp.where(support, tangent - mean, jnp.zeros((), tangent.dtype))


def sparsemax_loss(x: jax.Array) -> jax.Array:
    """The sparsemax counterpart of ``log_softmax``: minus the loss for each label of the last axis, [..., n], kept.

        y_i = x_i - (sum over the support of (x_j^2 - tau^2) + 1) / 2;    its derivative is onehot_i - sparsemax(x)

    It is zero at a label that sparsemax gives all the mass. Source: Martins and Astudillo (2016), eq. 24; spaGO
    SparseMaxLoss.

    >>> sparsemax_loss(jnp.array([2.0, 0.0]))
    Array([ 0., -2.], dtype=float32)
    """
    wide = x.astype(accumulation_dtype(x.dtype))
    shifted = wide - jax.lax.stop_gradient(jnp.max(wide, axis=-1, keepdims=True))
    # The derivative with respect to tau is zero where sparsemax sums to 1, so tau may be held.
    tau = jax.lax.stop_gradient(sparsemax_threshold(shifted))
    support = shifted > tau
    terms = jnp.where(support, jnp.square(shifted) - jnp.square(tau), jnp.zeros((), wide.dtype))
    # d/dx of the sum is 2 x on the support; 2 (x - tau) is wanted: the sum of the support's x gives the rest.
    held = jnp.where(support, 2.0 * tau * (shifted - jax.lax.stop_gradient(shifted)), jnp.zeros((), wide.dtype))
    total = jnp.sum(terms - held, axis=-1, keepdims=True)
    return (shifted - 0.5 * (total + 1.0)).astype(x.dtype)
