# SPDX-License-Identifier: BSD-2-Clause
"""Pooling layers."""

from spago_jax.core import Array, Module, static
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.pooling import max_pool2d


class MaxPooling2d(Module):
    """The maximum of each window, side by side: [..., height, width] -> [..., height / rows, width / columns].

    ``y_ij = max x[rows of i, columns of j]``.

    Source: spaGO nn/pooling, whose maximum is wrong for negative numbers and for windows that are not square.

    >>> import jax.numpy as jnp
    >>> MaxPooling2d.init(1, 2)(jnp.array([[-1.0, -2.0, 3.0, 4.0]]))
    Array([[-1.,  4.]], dtype=float32)
    """

    rows: int = static(default=2)
    columns: int = static(default=2)

    @classmethod
    def init(cls, rows: int, columns: int) -> "MaxPooling2d":
        """The size of a window.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("MaxPooling2d", rows=rows, columns=columns)
        return cls(rows=rows, columns=columns)

    def __call__(self, x: Array) -> Array:
        """[..., height, width]; the windows must fill it."""
        return max_pool2d(x, self.rows, self.columns)
