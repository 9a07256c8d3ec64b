# SPDX-License-Identifier: BSD-2-Clause
"""A learned squared length."""

import jax.numpy as jnp

from spago_jax.core import Array, Module
from spago_jax.core.initializers import xavier_uniform
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.linear import as_float, matmul


class SquaredDistance(Module):
    """``y = (B x)' (B x)``: [..., in] -> [...]; of a difference of two vectors it is their distance under ``B' B``.

    ``weight`` is [rank, in]. Source: Hewitt and Manning, "A Structural Probe" (2019); spaGO nn/sqrdist.

    >>> SquaredDistance(weight=jnp.array([[1.0, 0.0]]))(jnp.array([3.0, 4.0]))
    Array(9., dtype=float32)
    """

    weight: Array

    @classmethod
    def init(cls, key: Array, in_features: int, rank: int) -> "SquaredDistance":
        """Xavier-uniform weights.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("SquaredDistance", in_features=in_features, rank=rank)
        return cls(weight=xavier_uniform(key, (rank, in_features)))

    def __call__(self, x: Array) -> Array:
        """[..., in] -> [...], in the dtype of ``x``."""
        x = as_float(x, self)
        return jnp.sum(jnp.square(matmul(x, self.weight)), axis=-1).astype(x.dtype)
