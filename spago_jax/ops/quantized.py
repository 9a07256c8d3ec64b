# SPDX-License-Identifier: BSD-2-Clause
"""Products of 8-bit integers: weights that are rounded once, and inputs that are rounded row by row."""

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.core.module import Module

_LARGEST = 127
_LEAST = 1e-12


class Int8Weight(Module):
    """A matrix ``W[o, i] = scale[o] values[o, i]`` in 8-bit integers, in the place of a float one.

    Attributes:
        values: int8[..., out, in].
        scale: float32[..., out].

    >>> weight = Int8Weight.of(jnp.array([[1.0, -2.0], [0.0, 0.5]]))
    >>> weight.values
    Array([[  64, -127],
           [   0,  127]], dtype=int8)
    >>> bool(jnp.allclose(int8_product(jnp.array([[1.0, 1.0]]), weight), jnp.array([[-1.0, 0.5]]), atol=0.02))
    True
    """

    values: jax.Array
    scale: jax.Array

    @classmethod
    def of(cls, weight: jax.Array) -> "Int8Weight":
        """Rounds a matrix [..., out, in]: the largest number of each row becomes 127."""
        wide = weight.astype(jnp.float32)
        scale = jnp.maximum(jnp.max(jnp.abs(wide), axis=-1), _LEAST) / _LARGEST
        return cls(values=jnp.round(wide / scale[..., None]).astype(jnp.int8), scale=scale)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the matrix."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """How many axes the matrix has."""
        return self.values.ndim


def int8_product(x: jax.Array, weight: Int8Weight) -> jax.Array:
    """``x W'`` for [rows, in], summed in 32-bit integers: float32[rows, out].

    Each row of ``x`` has a scale of its own, so no row changes another's result. Rounding both sides leaves an error
    of about a hundredth of the result's usual size. There is no gradient.
    """
    rows = x.shape[0]
    wide = two_rows(x).astype(jnp.float32)
    scale = jnp.maximum(jnp.max(jnp.abs(wide), axis=-1, keepdims=True), _LEAST) / _LARGEST
    rounded = jnp.round(wide / scale).astype(jnp.int8)
    sums = lax.dot_general(rounded, weight.values, (((1,), (1,)), ((), ())), preferred_element_type=jnp.int32)
    return (sums.astype(jnp.float32) * scale * weight.scale)[:rows]


def two_rows(x: jax.Array) -> jax.Array:
    """A row of zeros under a single one: [rows, in] -> [max(rows, 2), in].

    A product of one row with a matrix of 8-bit integers or 16-bit floats misses the matrix unit of a processor, and
    takes ten times as long as one of two rows.
    """
    return jnp.concatenate([x, jnp.zeros_like(x)]) if x.shape[0] == 1 else x
