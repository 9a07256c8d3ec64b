# SPDX-License-Identifier: BSD-2-Clause
"""Products of vectors, matrices and tensors."""

from typing import Any

import jax.numpy as jnp

from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import described, operation
from spago_jax.errors import InputError


def _check_mul(name: str, a: Node, b: Node) -> None:
    if 0 in (a.ndim, b.ndim):
        return
    if max(a.ndim, b.ndim) > 2:
        raise InputError(f"{name}({described((a, b))}): takes vectors and matrices; batched_matmul takes more axes")
    inner = a.shape[-1], b.shape[0]
    if inner[0] != inner[1]:
        raise InputError(f"{name}({described((a, b))}): inner dimensions {inner[0]} and {inner[1]} do not match")


@operation("mul", _check_mul, symbol="@")
def mul(a: Any, b: Any) -> Any:
    """The product by kind: scalar with anything, vector with vector (a scalar), vector, matrix, matrix."""
    return a * b if 0 in (jnp.ndim(a), jnp.ndim(b)) else jnp.dot(a, b)


def _check_batched(name: str, a: Node, b: Node, *, transpose_a: bool = False, transpose_b: bool = False) -> None:
    if a.ndim < 2 or a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2]:
        raise InputError(f"{name}({described((a, b))}): needs equal outer dimensions, and two axes or more")
    inner = a.shape[-2 if transpose_a else -1], b.shape[-1 if transpose_b else -2]
    if inner[0] != inner[1]:
        raise InputError(f"{name}({described((a, b))}): inner dimensions {inner[0]} and {inner[1]} do not match")


@operation("batched_matmul", _check_batched)
def batched_matmul(a: Any, b: Any, *, transpose_a: bool = False, transpose_b: bool = False) -> Any:
    """Products of matrices over equal leading axes."""
    return jnp.matmul(jnp.swapaxes(a, -1, -2) if transpose_a else a, jnp.swapaxes(b, -1, -2) if transpose_b else b)


def _check_vectors(name: str, a: Node, b: Node) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise InputError(f"{name}({described((a, b))}): takes two vectors")


@operation("outer", _check_vectors)
def outer(a: Any, b: Any) -> Any:
    """``a_i b_j``."""
    return jnp.outer(a, b)


def _check_tensordot(name: str, a: Node, b: Node, *, left: Any, right: Any) -> None:
    left, right = _axes(left), _axes(right)
    where = f"{name}({described((a, b))}, left={left}, right={right})"
    if 0 in (a.ndim, b.ndim):
        raise InputError(f"{where}: a scalar has no axes to contract")
    if len(left) != len(right):
        raise InputError(f"{where}: {len(left)} axes and {len(right)} axes cannot be paired")
    for node, axes in ((a, left), (b, right)):
        if len(set(axes)) != len(axes):
            raise InputError(f"{where}: an axis of {node.label} is named twice")
        if bad := [axis for axis in axes if not 0 <= axis < node.ndim]:
            raise InputError(f"{where}: {node.label} has no axis {bad[0]}")
    for i, j in zip(left, right, strict=True):
        if a.shape[i] != b.shape[j]:
            raise InputError(f"{where}: axis {i} has size {a.shape[i]} and axis {j} has {b.shape[j]}")


@operation("tensordot", _check_tensordot)
def tensordot(a: Any, b: Any, *, left: Any, right: Any) -> Any:
    """The sum of products over pairs of axes."""
    return jnp.tensordot(a, b, axes=(_axes(left), _axes(right)))


def _axes(axes: Any) -> tuple[int, ...]:
    return (axes,) if isinstance(axes, int) else tuple(axes)
