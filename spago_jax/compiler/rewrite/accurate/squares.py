# SPDX-License-Identifier: BSD-2-Clause
"""Differences of squares as products, which neither cancel nor overflow early."""

import jax
import jax.numpy as jnp

Array = jax.Array


@jax.custom_jvp
def one_minus_square(x: Array) -> Array:
    """``1 - x^2 = (1 - x) (1 + x)``; its derivative is ``-2x``.

    >>> x = jnp.float32(0.9999)
    >>> f"{one_minus_square(x):.6e}, {1 - x * x:.6e}, exactly {1 - float(x) ** 2:.6e}"
    '2.000232e-04, 2.000332e-04, exactly 2.000232e-04'
    """
    return (1 - x) * (1 + x)


@one_minus_square.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return one_minus_square(x), dx * (-2 * x)


@jax.custom_jvp
def difference_of_squares(x: Array, y: Array) -> Array:
    """``x^2 - y^2 = (x - y) (x + y)``, halved first so that neither factor overflows.

    >>> float(difference_of_squares(jnp.float32(3e38), jnp.float32(3e38)))
    0.0
    """
    minus, plus = x / 2 - y / 2, x / 2 + y / 2
    # four times a product that must not underflow where the whole does not, nor overflow in a factor
    return jnp.where(jnp.abs(minus) > 1, 4 * (minus * plus), (4 * minus) * plus)


@difference_of_squares.defjvp
def _(primals, tangents):
    (x, y), (dx, dy) = primals, tangents
    return difference_of_squares(x, y), dx * (2 * x) - dy * (2 * y)
