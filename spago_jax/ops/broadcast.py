# SPDX-License-Identifier: BSD-2-Clause
"""Broadcasting on purpose: ranks are made equal where they are meant to be, so that JAX may refuse all others."""

import jax
import jax.numpy as jnp


def over(vector: jax.Array, x: jax.Array) -> jax.Array:
    """A vector [n] (a bias, a gain) in the rank of ``x`` [..., n], for every position of it.

    >>> over(jnp.array([1.0, 2.0]), jnp.zeros((3, 4, 2))).shape
    (1, 1, 2)
    """
    return jnp.reshape(vector, (1,) * (x.ndim - 1) + (-1,))
