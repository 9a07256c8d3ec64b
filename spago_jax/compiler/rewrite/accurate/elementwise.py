# SPDX-License-Identifier: BSD-2-Clause
"""Functions of one number that lose their digits when they are written by hand."""

import jax
import jax.numpy as jnp

from spago_jax.compiler.rewrite.accurate.norms import hypot

Array = jax.Array


@jax.custom_jvp
def expm1(x: Array) -> Array:
    """``exp(x) - 1``; its derivative is ``exp(x)``, which ``y + 1`` (JAX's until 0.12) loses below -17.

    >>> float(jax.grad(expm1)(-20.0))
    2.06115369216775e-09
    """
    return jax.lax.expm1(x)


@expm1.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return expm1(x), dx * jnp.exp(x)


@jax.custom_jvp
def cosine_defect(x: Array) -> Array:
    """``1 - cos(x) = 2 sin(x / 2)^2``; its derivative is ``sin(x)``.

    >>> f"{cosine_defect(1e-5):.5e}", float(1 - jnp.cos(1e-5))
    ('5.00000e-11', 0.0)
    """
    half = jnp.sin(x / 2)
    return 2 * half * half


@cosine_defect.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return cosine_defect(x), dx * jnp.sin(x)


@jax.custom_jvp
def hyperbolic_sine(x: Array) -> Array:
    """``(exp(x) - exp(-x)) / 2``; its derivative is ``hyperbolic_cosine(x)``.

    >>> float(hyperbolic_sine(1e-12))
    9.999999960041972e-13
    """
    near = jnp.abs(x) < 1
    small = jax.lax.expm1(jnp.where(near, x, 0))
    half = jnp.exp(jnp.abs(jnp.where(near, 1, x)) / 2)  # its square may overflow where half of that does not
    far = jnp.sign(x) * ((half / 2) * half - 0.5 / half / half)
    return jnp.where(near, (small + small / (small + 1)) / 2, far)


@jax.custom_jvp
def hyperbolic_cosine(x: Array) -> Array:
    """``(exp(x) + exp(-x)) / 2``; its derivative is ``hyperbolic_sine(x)``."""
    half = jnp.exp(jnp.abs(x) / 2)
    return (half / 2) * half + 0.5 / half / half


@hyperbolic_sine.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return hyperbolic_sine(x), dx * hyperbolic_cosine(x)


@hyperbolic_cosine.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return hyperbolic_cosine(x), dx * hyperbolic_sine(x)


@jax.custom_jvp
def inverse_hyperbolic_sine(x: Array) -> Array:
    """``log(x + sqrt(x^2 + 1))``; its derivative is ``1 / sqrt(x^2 + 1)``, by ``hypot``.

    >>> f"{inverse_hyperbolic_sine(-1e30):.5f}, {jax.grad(inverse_hyperbolic_sine)(1e30):.5e}"
    '-69.77070, 1.00000e-30'
    """
    return jnp.arcsinh(x)


@inverse_hyperbolic_sine.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return inverse_hyperbolic_sine(x), dx / hypot(x, jnp.ones_like(x))


@jax.custom_jvp
def x_log_x(x: Array) -> Array:
    """``x log(x)``, which is 0 at 0; its derivative is ``log(x) + 1``.

    >>> float(x_log_x(0.0)), float(x_log_x(1.0))
    (0.0, 0.0)
    """
    return jnp.where(x == 0, 0, x * jnp.log(x))


@x_log_x.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return x_log_x(x), dx * (jnp.log(x) + 1)


def log_abs_power(x: Array, n: int) -> Array:
    """``log(x^n)`` without the power: ``n log|x|`` for even n, ``n log(x)`` for odd n.

    >>> f"{log_abs_power(jnp.float32(-1e30), 2):.4f}"
    '138.1551'
    """
    return n * jnp.log(jnp.abs(x) if n % 2 == 0 else x)
