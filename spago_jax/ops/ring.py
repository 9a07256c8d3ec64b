# SPDX-License-Identifier: BSD-2-Clause
"""The last outputs of a recurrence, a fixed number of them, newest first: what higher-order cells remember."""

import jax
import jax.numpy as jnp


def push(ring: jax.Array, y: jax.Array) -> jax.Array:
    """``y`` [..., features] in front, the oldest one out: [..., size, features], kept.

    >>> push(jnp.array([[1.0], [2.0]]), jnp.array([5.0]))[:, 0]
    Array([5., 1.], dtype=float32)
    """
    return jnp.concatenate([y[..., None, :].astype(ring.dtype), ring[..., :-1, :]], axis=-2)
