# SPDX-License-Identifier: BSD-2-Clause
"""Dropout with inverted scaling, plain or with a mask that is shared along axes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from spago_jax.core.rng import Rng
from spago_jax.errors import InputError
from spago_jax.ops.linear import as_float


def check_rate(rate: float, name: str = "rate") -> float:
    """A dropout rate as a float in [0, 1).

    Raises:
        InputError: for any other number.
    """
    if not 0.0 <= rate < 1.0:
        raise InputError(f"dropout {name} is {rate}, expected at least 0 and less than 1 (the share that is dropped)")
    return float(rate)


def dropout(x: jax.Array, rate: float, rng: Rng | None, *, shared_axes: Sequence[int] = ()) -> jax.Array:
    """Sets a share ``rate`` of the numbers to zero and divides the rest by ``1 - rate``.

    Without ``rng`` (inference), or with rate 0, ``x`` comes back as it is.

    Args:
        x: any shape.
        rate: the share that is dropped, in [0, 1).
        rng: the randomness, or None.
        shared_axes: axes along which one mask is used: ``(-2,)`` on [..., time, features] drops the same
            features at every step (variational dropout, Gal and Ghahramani, 2016).

    Raises:
        InputError: for a rate outside [0, 1).

    >>> from spago_jax import Rng
    >>> dropout(jnp.ones((2, 3)), 0.5, Rng.seed(0), shared_axes=(0,)).std(axis=0).max()
    Array(0., dtype=float32)
    """
    check_rate(rate)
    x = as_float(x)
    if rng is None or rate == 0.0:
        return x
    shape = list(x.shape)
    for axis in shared_axes:
        shape[axis] = 1
    keep = rng.bernoulli(1.0 - rate, tuple(shape))
    return jnp.where(keep, x * jnp.asarray(1.0 / (1.0 - rate), x.dtype), jnp.zeros((), x.dtype))
