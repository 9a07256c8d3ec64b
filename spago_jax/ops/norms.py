# SPDX-License-Identifier: BSD-2-Clause
"""What the normalisations have in common; a gradient at zero is zero here, not a division by it."""

import jax
import jax.numpy as jnp


def safe_sqrt(x: jax.Array) -> jax.Array:
    """The square root with a gradient of zero at zero, where the true one is infinite.

    >>> jax.grad(safe_sqrt)(0.0), safe_sqrt(jnp.array(4.0))
    (Array(0., dtype=float32, weak_type=True), Array(2., dtype=float32))
    """
    positive = x > 0
    root = jnp.sqrt(jnp.where(positive, x, jnp.ones((), x.dtype) if hasattr(x, "dtype") else 1.0))
    return jnp.where(positive, root, jnp.zeros((), root.dtype))


def standardize(x: jax.Array, eps: float) -> jax.Array:
    """``(x - mean) / (std + eps)`` over the last axis, the deviation of the numbers themselves (divided by n).

    >>> standardize(jnp.array([1.0, 3.0]), 0.0)
    Array([-1.,  1.], dtype=float32)
    """
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    return centred / (safe_sqrt(jnp.mean(jnp.square(centred), axis=-1, keepdims=True)) + eps)


def norm(x: jax.Array) -> jax.Array:
    """The Euclidean length over the last axis, which is kept as one: [..., n] -> [..., 1].

    >>> norm(jnp.array([3.0, 4.0]))
    Array([5.], dtype=float32)
    """
    return safe_sqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True))
