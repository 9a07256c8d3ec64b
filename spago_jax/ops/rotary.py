# SPDX-License-Identifier: BSD-2-Clause
"""Rotary positions: queries and keys are turned by angles that grow with their place."""

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.ops.linear import accumulation_dtype


def rotary_angles(
    positions: jax.Array, features: int, *, theta: float = 10_000.0, dtype=jnp.float32
) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines of ``p theta^(-2 i / features)`` for the place p and i < features / 2, in ``dtype`` or float32.

    Args:
        positions: int[...].
        features: of a head, an even number.
        theta: the base.
        dtype: of the computation; 16-bit floats are widened.

    Returns:
        Two arrays [..., features / 2].

    >>> cosines, sines = rotary_angles(jnp.array([0, 1]), 4)
    >>> cosines.round(4)
    Array([[1.    , 1.    ],
           [0.5403, 1.    ]], dtype=float32)
    """
    wide = accumulation_dtype(dtype)
    turns = jnp.asarray(theta ** (-np.arange(0, features, 2) / features), wide)
    angles = positions[..., None].astype(wide) * turns
    return jnp.cos(angles), jnp.sin(angles)


def rotate(x: jax.Array, cosines: jax.Array, sines: jax.Array) -> jax.Array:
    """Turns each pair ``(x_i, x_{i + features / 2})`` by its angle: [..., time, features], kept.

    Args:
        x: [..., time, features].
        cosines: broadcastable to [..., time, features / 2].
        sines: the same.

    Source: Su et al., "RoFormer" (2021), with the two halves as pairs, as in GPT-NeoX and transformers.

    >>> rotate(jnp.array([[1.0, 0.0]]), jnp.array([[0.0]]), jnp.array([[1.0]]))
    Array([[0., 1.]], dtype=float32)
    """
    first, second = jnp.split(x.astype(cosines.dtype), 2, axis=-1)
    turned = [first * cosines - second * sines, second * cosines + first * sines]
    return jnp.concatenate(turned, axis=-1).astype(x.dtype)
