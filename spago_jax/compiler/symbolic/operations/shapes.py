# SPDX-License-Identifier: BSD-2-Clause
"""Shapes: reshape, slices, concatenation, choosing by indices."""

import math
from typing import Any

import jax.numpy as jnp

from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import described, operation
from spago_jax.errors import InputError


def _check_reshape(name: str, x: Node, *, shape: Any) -> None:
    shape = tuple(shape)
    where = f"{name}({described((x,))}) to {shape}"
    if shape.count(-1) > 1:
        raise InputError(f"{where}: only one size may be -1")
    known = math.prod(size for size in shape if size != -1)
    total = math.prod(x.shape)
    if (known != total) if -1 not in shape else (known == 0 or total % known):
        raise InputError(f"{where}: {total} elements do not fit")


@operation("reshape", _check_reshape)
def reshape(x: Any, *, shape: Any) -> Any:
    """The same elements in another shape; one size may be -1."""
    return jnp.reshape(x, shape)


@operation("ravel")
def ravel(x: Any) -> Any:
    """All elements in one axis."""
    return jnp.ravel(x)


def _check_transpose(name: str, x: Node, *, axes: Any = None) -> None:
    if axes is not None and sorted(axes) != list(range(x.ndim)):
        raise InputError(f"{name}({described((x,))}): {tuple(axes)} is no order of its {x.ndim} axes")


@operation("transpose", _check_transpose)
def transpose(x: Any, *, axes: Any = None) -> Any:
    """The axes in another order; reversed without one."""
    return jnp.transpose(x, axes)


@operation("_slice")
def _slice(x: Any, *, index: Any) -> Any:
    return x[tuple(slice(*part[1:]) if isinstance(part, tuple) else part for part in index)]


def slice_(x: Node, *index: Any) -> Node:
    """``x[index]``; a number drops its axis.

    Raises:
        InputError: for more indices than axes, or one that is outside.
    """
    if len(index) > x.ndim:
        raise InputError(f"slice of {x.label}: {x.type}: {len(index)} indices for {x.ndim} axes")
    parts: list[Any] = []
    for axis, part in enumerate(index):
        if isinstance(part, slice):
            parts.append(("slice", part.start, part.stop, part.step))
        elif isinstance(part, int) and -x.shape[axis] <= part < x.shape[axis]:
            parts.append(part)
        else:
            raise InputError(f"slice of {x.label}: {x.type}: index {part!r} is outside axis {axis}")
    return x.owner.apply("_slice", x, index=tuple(parts))


def _check_concat(name: str, *nodes: Node, axis: int) -> None:
    first = nodes[0]
    for node in nodes:
        fits = node.ndim == first.ndim and 0 <= axis < node.ndim
        if not fits or any(a != b for i, (a, b) in enumerate(zip(node.shape, first.shape, strict=True)) if i != axis):
            raise InputError(f"{name}({described(nodes)}) on axis {axis}: all other sizes must be equal")


@operation("concat", _check_concat)
def concat(*arrays: Any, axis: int) -> Any:
    """One after the other on an axis."""
    return jnp.concatenate(arrays, axis)


def unconcat(x: Node, axis: int, count: int) -> tuple[Node, ...]:
    """``count`` equal parts of an axis.

    Raises:
        InputError: when the axis does not split evenly.
    """
    if not 0 <= axis < x.ndim or count < 1 or x.shape[axis] % count:
        raise InputError(f"unconcat of {x.label}: {x.type}: axis {axis} does not split into {count} equal parts")
    size = x.shape[axis] // count
    before = (slice(None),) * axis
    return tuple(slice_(x, *before, slice(i * size, (i + 1) * size)) for i in range(count))


@operation("repeat")
def repeat(x: Any, *, count: int, axis: int) -> Any:
    """Every element of an axis ``count`` times."""
    return jnp.repeat(x, count, axis)


def _check_indices(name: str, x: Node, indices: Node, *, axis: int = 0) -> None:
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise InputError(f"{name}({described((x, indices))}): the indices must be a vector of integers")
    if not 0 <= axis < x.ndim:
        raise InputError(f"{name}({described((x, indices))}): {x.label} has no axis {axis}")
    if indices.constant is not None and indices.constant.size:
        low, high = int(indices.constant.min()), int(indices.constant.max())
        if low < 0 or high >= x.shape[axis]:
            raise InputError(
                f"{name}({described((x, indices))}): index {high if low >= 0 else low} is outside axis {axis} "
                f"of size {x.shape[axis]}"
            )


@operation("by_indices", _check_indices)
def by_indices(x: Any, indices: Any, *, axis: int = 0) -> Any:
    """The slices of an axis at the indices; one that is outside gives nan (floats), never another row."""
    return jnp.take(x, indices, axis, mode="fill")


@operation("diag_flat")
def diag_flat(x: Any) -> Any:
    """A matrix with the elements on its diagonal."""
    if jnp.ndim(x) == 0:
        raise ValueError("a scalar has no elements to lie on a diagonal")
    return jnp.diag(jnp.ravel(x))


@operation("at")
def at(x: Any, *, index: tuple[int, ...]) -> Any:
    """One element."""
    return x[tuple(index)]


def size_of(x: Node, axis: int) -> int:
    """The size of an axis: it is known while the expression is built."""
    return x.shape[axis]


def one_hot(owner: Any, index: int, classes: int, dtype: Any = "float32") -> Node:
    """A constant vector with one 1."""
    if not 0 <= index < classes:
        raise InputError(f"one_hot: {index} is no class of {classes}")
    return owner.constant([float(i == index) for i in range(classes)], dtype)
