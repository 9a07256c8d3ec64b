# SPDX-License-Identifier: BSD-2-Clause
"""Activations and softmax."""

from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.compiler.rewrite import stable
from spago_jax.compiler.symbolic.operations.reductions import axes_of, check_axes
from spago_jax.compiler.symbolic.registry import operation


@operation("softmax", check_axes)
def softmax(x: Any, *, axis: Any = -1) -> Any:
    """``exp(x) / sum(exp(x))`` over an axis, the last by default."""
    return stable.softmax(x, axes_of(axis, jnp.ndim(x)))


@operation("log_softmax", check_axes)
def log_softmax(x: Any, *, axis: Any = -1) -> Any:
    """``log(softmax(x))``."""
    return stable.log_softmax(x, axes_of(axis, jnp.ndim(x)))


@operation("sparsemax", check_axes)
def sparsemax(x: Any, *, axis: int = -1) -> Any:
    """The nearest point of the simplex (Martins and Astudillo 2016): ``max(x - tau, 0)`` that sums to 1."""
    z = jnp.moveaxis(x, axis, -1)
    ordered = -jnp.sort(-z, axis=-1)
    sums = jnp.cumsum(ordered, -1)
    k = jnp.arange(1, z.shape[-1] + 1, dtype=z.dtype)
    size = jnp.sum(1 + k * ordered > sums, -1, keepdims=True)
    tau = (jnp.take_along_axis(sums, size - 1, -1) - 1) / size.astype(z.dtype)
    return jnp.moveaxis(jnp.maximum(z - tau, 0), -1, axis)


@operation("rectify")
def rectify(x: Any) -> Any:
    """``max(x, 0)``."""
    return jax.nn.relu(x)


@operation("leaky_rectify")
def leaky_rectify(x: Any, *, alpha: float = 0.01) -> Any:
    """x above 0, ``alpha x`` below."""
    return jnp.where(x >= 0, x, alpha * x)


@operation("mish")
def mish(x: Any) -> Any:
    """``x tanh(softplus(x))`` (Misra 2019)."""
    return x * jnp.tanh(stable.softplus(x))
