# SPDX-License-Identifier: BSD-2-Clause
"""Sums, means, largest values, norms; without axes over all of them."""

from typing import Any

import jax.numpy as jnp

from spago_jax.compiler.rewrite import stable
from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import described, operation
from spago_jax.errors import InputError


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that ``axis`` names: None all of them, a number, or several."""
    if axis is None:
        return tuple(range(rank))
    return tuple(a % rank for a in ((axis,) if isinstance(axis, int) else axis))


def check_axes(name: str, x: Node, *, axis: Any = None, **_: Any) -> None:
    """Every axis is one of the operand, once."""
    named = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    if bad := [a for a in named if not -x.ndim <= a < x.ndim]:
        raise InputError(f"{name}({described((x,))}): no axis {bad[0]}; there are {x.ndim}")
    if len(set(axes_of(axis, x.ndim))) != len(axes_of(axis, x.ndim)):
        raise InputError(f"{name}({described((x,))}): an axis is named twice in {named}")


@operation("sum", check_axes)
def sum(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum."""
    return jnp.sum(x, axis, keepdims=keepdims)


@operation("mean", check_axes)
def mean(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean."""
    return jnp.mean(x, axis, keepdims=keepdims)


@operation("max", check_axes)
def max(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest value; equal ones share the derivative."""
    return jnp.max(x, axis, keepdims=keepdims)


@operation("min", check_axes)
def min(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest value."""
    return jnp.min(x, axis, keepdims=keepdims)


@operation("norm", check_axes)
def norm(x: Any, *, axis: Any = None, p: float = 2) -> Any:
    """``(sum |x|^p)^(1/p)``; for p = 2 over the whole range of numbers, with derivative 0 at 0."""
    axes = axes_of(axis, jnp.ndim(x))
    if p == 2:
        return stable.norm(x, axes)
    return jnp.sum(jnp.abs(x) ** p, axes) ** (1 / p)


@operation("log_sum_exp", check_axes)
def log_sum_exp(x: Any, *, axis: Any = None) -> Any:
    """``log(sum(exp(x)))``."""
    return stable.logsumexp(x, axes_of(axis, jnp.ndim(x)))


def reduce_add(*nodes: Node) -> Node:
    """The sum of several nodes of one shape."""
    total = nodes[0]
    for node in nodes[1:]:
        total = total + node
    return total


def reduce_mul(*nodes: Node) -> Node:
    """The elementwise product of several nodes of one shape."""
    product = nodes[0]
    for node in nodes[1:]:
        product = product * node
    return product
