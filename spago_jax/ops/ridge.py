# SPDX-License-Identifier: BSD-2-Clause
"""Least squares with a penalty, in closed form (ridge) and by ADMM (lasso)."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError


def ridge(a: jax.Array, y: jax.Array, penalty: float) -> jax.Array:
    """The W of the least ``|a W - y|^2 + penalty |W|^2``: ``(a'a + penalty I)^-1 a'y``.

    By eigenvalues, because features often depend on each other and a Cholesky factor then fails in float32; and
    refined on the residual of ``a`` itself, which brings float32 near its last digit.

    Args:
        a: [examples, in].
        y: [examples, out].
        penalty: more than zero.

    Returns:
        [in, out].

    Raises:
        InputError: for a penalty that is not more than zero, or shapes that do not fit.

    >>> ridge(jnp.array([[1.0], [2.0]]), jnp.array([[2.0], [4.0]]), 5.0)
    Array([[1.]], dtype=float32)
    """
    _check(a, y, penalty, "penalty")
    values, vectors = jnp.linalg.eigh(_product(a.T, a))
    # What rounding may have taken from an eigenvalue is added to it: the steps are then too short, never too long.
    noise = 10.0 * jnp.finfo(a.dtype).eps * values[-1]
    divisors = (jnp.maximum(values, 0.0) + noise + penalty)[:, None]
    w = jnp.zeros((a.shape[1], y.shape[1]), a.dtype)
    for _ in range(6):
        rest = _product(a.T, y - _product(a, w)) - penalty * w
        w = w + _product(vectors, _product(vectors.T, rest) / divisors)
    return w


def lasso_admm(a: jax.Array, y: jax.Array, penalty: float, iterations: int = 100) -> jax.Array:
    """A sparse W with ``a W`` near ``y``, by the alternating direction method of multipliers with rho = 1.

        C = L (a'y + O - U),  O = shrink(C + U, penalty),  U = U + C - O,  with L = (a'a + I)^-1, from O = U = 0

    Args:
        a: [examples, in].
        y: [examples, out].
        penalty: of ``|W|_1``, more than zero.
        iterations: how many.

    Returns:
        O, [in, out].

    Raises:
        InputError: for a penalty that is not more than zero, or shapes that do not fit.

    Source: Boyd et al. (2011), section 6.4; spaGO v0.7.0 nn/bls.

    >>> lasso_admm(jnp.eye(2), jnp.array([[3.0], [0.25]]), 0.5, 200).round(3)
    Array([[2.5],
           [0. ]], dtype=float32)
    """
    _check(a, y, penalty, "penalty")
    factor = jax.scipy.linalg.cho_factor(_product(a.T, a) + jnp.eye(a.shape[1], dtype=a.dtype))
    right = _product(a.T, y)

    def iterate(_: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        kept, dual = state
        moved = jax.scipy.linalg.cho_solve(factor, right + kept - dual) + dual
        kept = jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - penalty, 0.0)
        return kept, moved - kept

    zeros = jnp.zeros_like(right)
    return jax.lax.fori_loop(0, iterations, iterate, (zeros, zeros))[0]


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


def _check(a: jax.Array, y: jax.Array, penalty: float, name: str) -> None:
    if not penalty > 0.0:
        raise InputError(f"{name} is {penalty}, expected more than 0")
    if a.ndim != 2 or y.ndim != 2 or a.shape[0] != y.shape[0]:
        raise InputError(
            f"a has shape {tuple(a.shape)} and y {tuple(y.shape)}, expected [examples, in] and [examples, out]"
        )
