# SPDX-License-Identifier: BSD-2-Clause
"""Initial values for parameters. Matrices are [out, in]; the gain follows the activation that comes after."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from spago_jax.core.module import Array

_GAINS = {"relu": math.sqrt(2.0), "tanh": 5.0 / 3.0}


def gain(activation: str) -> float:
    """The factor that keeps the variance through an activation: relu sqrt(2), tanh 5/3, all others 1.

    Source: spaGO ``initializers.Gain``; PyTorch ``nn.init.calculate_gain``.
    """
    return _GAINS.get(activation, 1.0)


def xavier_uniform(key: Array, shape: tuple[int, ...], gain: float = 1.0, dtype=jnp.float32) -> Array:
    """U(-a, a) with a = gain * sqrt(6 / (fan_in + fan_out)), for [out, in, ...] weights (Glorot and Bengio, 2010).

    >>> w = xavier_uniform(jax.random.key(0), (200, 100))
    >>> bool(jnp.abs(w).max() <= (6 / 300) ** 0.5)
    True
    """
    bound = xavier_bound(shape, gain)
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def xavier_bound(shape: tuple[int, ...], gain: float = 1.0) -> float:
    """The a of ``xavier_uniform``."""
    return gain * math.sqrt(6.0 / sum(_fans(shape)))


def xavier_normal(key: Array, shape: tuple[int, ...], gain: float = 1.0, dtype=jnp.float32) -> Array:
    """N(0, s^2) with s = gain * sqrt(2 / (fan_in + fan_out))."""
    return xavier_std(shape, gain) * jax.random.normal(key, shape, dtype)


def xavier_std(shape: tuple[int, ...], gain: float = 1.0) -> float:
    """The s of ``xavier_normal``."""
    return gain * math.sqrt(2.0 / sum(_fans(shape)))


def uniform(key: Array, shape: tuple[int, ...], bound: float, dtype=jnp.float32) -> Array:
    """U(-bound, bound)."""
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def normal(key: Array, shape: tuple[int, ...], std: float = 1.0, dtype=jnp.float32) -> Array:
    """N(0, std^2)."""
    return std * jax.random.normal(key, shape, dtype)


def orthogonal(key: Array, shape: tuple[int, int], gain: float = 1.0, dtype=jnp.float32) -> Array:
    """Rows (or columns) that are orthonormal, times gain (Saxe et al., 2013).

    The orthogonal factor of the polar decomposition of a normal matrix, which is uniformly distributed, by the
    Newton-Schulz iteration ``X <- 1.5 X - 0.5 X X' X``: matrix products alone. JAX's QR decomposition waits, on a CPU,
    inside a thread of the pool that its batches need, and two of them on two cores can wait for each other forever.

    >>> w = orthogonal(jax.random.key(0), (3, 5))
    >>> bool(jnp.allclose(w @ w.T, jnp.eye(3), atol=1e-5))
    True
    """
    wide = jnp.promote_types(dtype, jnp.float32)
    x = jax.random.normal(key, shape, wide)
    if shape[0] > shape[1]:
        x = x.T
    x = x / jnp.linalg.norm(x)  # the iteration converges for singular values below sqrt(3)

    def step(_: int, x: Array) -> Array:
        return 1.5 * x - 0.5 * (jnp.matmul(x, x.T, precision="highest") @ x)

    # A singular value grows by half each time until it is near 1: 48 times lift it from 1e-8 of the largest.
    x = jax.lax.fori_loop(0, 48, step, x)
    return (gain * (x.T if shape[0] > shape[1] else x)).astype(dtype)


def blocks(key: Array, count: int, make: Callable[[Array], Array]) -> Array:
    """``count`` matrices, each from a key of its own, one under the other: the gates of a recurrent cell."""
    made = jax.vmap(make)(jax.random.split(key, count))
    return made.reshape(-1, *made.shape[2:])


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_out, fan_in) of an [out, in, *kernel] weight; a vector counts as one column, as in spaGO."""
    if len(shape) == 1:
        return shape[0], 1
    window = math.prod(shape[2:])
    return shape[0] * window, shape[1] * window


def achlioptas(key: Array, shape: tuple[int, ...], dtype=jnp.float32) -> Array:
    """-sqrt(3), 0 or sqrt(3) with probabilities 1/6, 2/3, 1/6: a sparse random projection (Achlioptas, 2003).

    >>> values = achlioptas(jax.random.key(0), (100, 100))
    >>> sorted({round(float(v), 3) for v in values.ravel()})
    [-1.732, 0.0, 1.732]
    """
    return achlioptas_of(jax.random.uniform(key, shape, dtype))


def achlioptas_of(u: Array) -> Array:
    """The rule of ``achlioptas`` for numbers drawn uniformly from [0, 1)."""
    root = jnp.asarray(math.sqrt(3.0), u.dtype)
    return jnp.where(u < 1 / 6, -root, jnp.where(u > 5 / 6, root, jnp.zeros((), u.dtype)))
