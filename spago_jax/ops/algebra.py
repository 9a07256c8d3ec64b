# SPDX-License-Identifier: BSD-2-Clause
"""Forms of vectors and matrices: affine over several inputs, bilinear, biaffine, rotation."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError
from spago_jax.ops.linear import linear


def affine(bias: jax.Array, *pairs: tuple[jax.Array, jax.Array | None]) -> jax.Array:
    """``b + W_1 x_1 + W_2 x_2 + ...``: pairs of a weight [out, in] and an input [..., in]; a None input adds nothing.

    Raises:
        InputError: without a pair that has an input.

    >>> affine(jnp.array([1.0]), (jnp.array([[2.0]]), jnp.array([3.0])), (jnp.array([[5.0]]), None))
    Array([7.], dtype=float32)
    """
    terms = [linear(x, weight) for weight, x in pairs if x is not None]
    if not terms:
        raise InputError("affine: no pair has an input")
    return sum(terms[1:], terms[0]) + bias.reshape((1,) * (terms[0].ndim - 1) + (-1,))


def bilinear(weight: jax.Array, left: jax.Array, right: jax.Array) -> jax.Array:
    """``l' W r``: weight [a, b], left [..., a], right [..., b] -> [...].

    >>> bilinear(jnp.array([[1.0, 2.0]]), jnp.array([3.0]), jnp.array([1.0, 1.0]))
    Array(9., dtype=float32)
    """
    return jnp.sum(left * linear(right, weight), axis=-1)


def biaffine(
    weight: jax.Array, u: jax.Array, v: jax.Array, bias: jax.Array, left: jax.Array, right: jax.Array
) -> jax.Array:
    """``l' W r + u' l + v' r + b`` (Dozat and Manning, 2017): left [..., a], right [..., b] -> [...]."""
    flat = left @ u + right @ v + bias.reshape((1,) * (left.ndim - 1))
    return bilinear(weight, left, right) + flat


def rotate_right(x: jax.Array, steps: int) -> jax.Array:
    """``y[k] = x[(k - steps) mod n]`` along the last axis.

    >>> rotate_right(jnp.array([1, 2, 3]), 1)
    Array([3, 1, 2], dtype=int32)
    """
    return jnp.roll(x, steps, axis=-1)


def split_last(x: jax.Array, chunks: int) -> list[jax.Array]:
    """The last axis in equal parts.

    spaGO 0.7 takes parts of ``ceil(n / chunks)`` and a last one of ``n mod chunks``, which loses numbers where that is
    not what is left.

    Raises:
        InputError: where the parts would not be equal.

    >>> [part.tolist() for part in split_last(jnp.arange(4), 2)]
    [[0, 1], [2, 3]]
    """
    if chunks < 1 or x.shape[-1] % chunks:
        raise InputError(f"{x.shape[-1]} numbers do not split into {chunks} equal parts")
    return jnp.split(x, chunks, axis=-1)
