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
    out_features, in_features = _fans(shape)
    bound = gain * math.sqrt(6.0 / (in_features + out_features))
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def xavier_normal(key: Array, shape: tuple[int, ...], gain: float = 1.0, dtype=jnp.float32) -> Array:
    """N(0, s^2) with s = gain * sqrt(2 / (fan_in + fan_out))."""
    out_features, in_features = _fans(shape)
    return gain * math.sqrt(2.0 / (in_features + out_features)) * jax.random.normal(key, shape, dtype)


def uniform(key: Array, shape: tuple[int, ...], bound: float, dtype=jnp.float32) -> Array:
    """U(-bound, bound)."""
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def normal(key: Array, shape: tuple[int, ...], std: float = 1.0, dtype=jnp.float32) -> Array:
    """N(0, std^2)."""
    return std * jax.random.normal(key, shape, dtype)


def orthogonal(key: Array, shape: tuple[int, int], gain: float = 1.0, dtype=jnp.float32) -> Array:
    """Rows (or columns) that are orthonormal, times gain (Saxe et al., 2013)."""
    wide = jnp.promote_types(dtype, jnp.float32)  # the QR decomposition behind it knows no shorter floats
    return (gain * jax.nn.initializers.orthogonal()(key, shape, wide)).astype(dtype)


def blocks(key: Array, count: int, make: Callable[[Array], Array]) -> Array:
    """``count`` matrices, each from a key of its own, one under the other: the gates of a recurrent cell.

    Under ``vmap``, because a QR decomposition compiled once is quicker to compile than one a gate.
    """
    made = jax.vmap(make)(jax.random.split(key, count))
    return made.reshape(-1, *made.shape[2:])


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_out, fan_in) of an [out, in, *kernel] weight; a vector counts as one column, as in spaGO."""
    if len(shape) == 1:
        return shape[0], 1
    window = math.prod(shape[2:])
    return shape[0] * window, shape[1] * window
