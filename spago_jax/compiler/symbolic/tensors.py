# SPDX-License-Identifier: BSD-2-Clause
"""Operations that move or join numbers: products, shapes, repeated axes, convolution and pooling."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from spago_jax.compiler.symbolic.node import Index, Node, Owner, described, find, operation, owner_of
from spago_jax.errors import InputError

__all__ = [
    "at", "auto", "average_pool1d", "average_pool2d", "batched_matmul", "broadcast", "broadcast_to", "by_indices",
    "concat", "conv1d", "conv2d", "diag_flat", "global_average_pool2d", "im2col", "max_pool1d", "max_pool2d", "mul",
    "one_hot", "outer", "ravel", "repeat", "reshape", "size_of", "slice_", "tensordot", "transpose", "unconcat",
    "upsample2d",
]  # fmt: skip

Array = jax.Array
Axes = tuple[int, ...]
Sizes = int | Sequence[int]
"""One number for each spatial axis, or the same for all."""


def _axes(axes: int | Sequence[int]) -> Axes:
    return (axes,) if isinstance(axes, int) else tuple(axes)


# -- Products --------------------------------------------------------------------------------------------------------


def _check_mul(name: str, a: Node, b: Node) -> None:
    if 0 in (a.ndim, b.ndim):
        return
    if max(a.ndim, b.ndim) > 2:
        raise InputError(f"{name}({described((a, b))}): takes vectors and matrices; batched_matmul takes more axes")
    inner = a.shape[-1], b.shape[0]
    if inner[0] != inner[1]:
        raise InputError(f"{name}({described((a, b))}): inner dimensions {inner[0]} and {inner[1]} do not match")


@operation("mul", _check_mul, symbol="@")
def mul(a: Array, b: Array) -> Array:
    """The product by kind: scalar with anything, vector with vector (a scalar), vector, matrix, matrix."""
    return a * b if 0 in (jnp.ndim(a), jnp.ndim(b)) else jnp.dot(a, b)


def _check_batched(name: str, a: Node, b: Node, *, transpose_a: bool = False, transpose_b: bool = False) -> None:
    if a.ndim < 2 or a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2]:
        raise InputError(f"{name}({described((a, b))}): needs equal outer dimensions, and two axes or more")
    inner = a.shape[-2 if transpose_a else -1], b.shape[-1 if transpose_b else -2]
    if inner[0] != inner[1]:
        raise InputError(f"{name}({described((a, b))}): inner dimensions {inner[0]} and {inner[1]} do not match")


@operation("batched_matmul", _check_batched)
def batched_matmul(a: Array, b: Array, *, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """Products of matrices over equal leading axes."""
    return jnp.matmul(jnp.swapaxes(a, -1, -2) if transpose_a else a, jnp.swapaxes(b, -1, -2) if transpose_b else b)


def _check_vectors(name: str, a: Node, b: Node) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise InputError(f"{name}({described((a, b))}): takes two vectors")


@operation("outer", _check_vectors)
def outer(a: Array, b: Array) -> Array:
    """``a_i b_j``."""
    return jnp.outer(a, b)


def _check_tensordot(name: str, a: Node, b: Node, *, left: int | Sequence[int], right: int | Sequence[int]) -> None:
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
def tensordot(a: Array, b: Array, *, left: Sizes, right: Sizes) -> Array:
    """The sum of products over pairs of axes."""
    return jnp.tensordot(a, b, axes=(_axes(left), _axes(right)))


# -- Shapes ----------------------------------------------------------------------------------------------------------


def _check_reshape(name: str, x: Node, *, shape: Sequence[int]) -> None:
    shape = tuple(shape)
    where = f"{name}({described((x,))}) to {shape}"
    if shape.count(-1) > 1:
        raise InputError(f"{where}: only one size may be -1")
    known = math.prod(size for size in shape if size != -1)
    total = math.prod(x.shape)
    if (known != total) if -1 not in shape else (known == 0 or total % known):
        raise InputError(f"{where}: {total} elements do not fit")


@operation("reshape", _check_reshape)
def reshape(x: Array, *, shape: Sequence[int]) -> Array:
    """The same elements in another shape; one size may be -1."""
    return jnp.reshape(x, shape)


@operation("ravel")
def ravel(x: Array) -> Array:
    """All elements in one axis."""
    return jnp.ravel(x)


def _check_transpose(name: str, x: Node, *, axes: Sequence[int] | None = None) -> None:
    if axes is not None and sorted(axes) != list(range(x.ndim)):
        raise InputError(f"{name}({described((x,))}): {tuple(axes)} is not an order of its {x.ndim} axes")


@operation("transpose", _check_transpose)
def transpose(x: Array, *, axes: Sequence[int] | None = None) -> Array:
    """The axes in another order; reversed without one."""
    return jnp.transpose(x, axes)


def _check_slice(_: str, x: Node, *, index: tuple[Any, ...]) -> None:
    where = f"slice of {x.label}: {x.type}"
    if len(index) > x.ndim:
        raise InputError(f"{where}: {len(index)} indices for {x.ndim} axes")
    for axis, part in enumerate(index):
        if not isinstance(part, tuple) and not (isinstance(part, int) and -x.shape[axis] <= part < x.shape[axis]):
            raise InputError(f"{where}: index {part!r} is outside axis {axis}")


@operation("_slice", _check_slice)
def _slice(x: Array, *, index: tuple[Any, ...]) -> Array:
    return x[tuple(slice(*part[1:]) if isinstance(part, tuple) else part for part in index)]


def slice_(x: Node, *index: Index) -> Node:
    """``x[index]``; a number drops its axis.

    Raises:
        InputError: for more indices than axes, or one that is outside.
    """
    return x[index]


def _check_concat(name: str, *nodes: Node, axis: int) -> None:
    first = nodes[0]
    for node in nodes:
        fits = node.ndim == first.ndim and 0 <= axis < node.ndim
        if not fits or any(a != b for i, (a, b) in enumerate(zip(node.shape, first.shape, strict=True)) if i != axis):
            raise InputError(f"{name}({described(nodes)}) on axis {axis}: all other sizes must be equal")


@operation("concat", _check_concat)
def concat(*arrays: Any, axis: int) -> Array:
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
def repeat(x: Array, *, count: int, axis: int) -> Array:
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
def by_indices(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """The slices of an axis at the indices; one that is outside gives nan (floats), never another row."""
    return jnp.take(x, indices, axis, mode="fill")


@operation("diag_flat")
def diag_flat(x: Array) -> Array:
    """A matrix with the elements on its diagonal."""
    if jnp.ndim(x) == 0:
        raise ValueError("a scalar has no elements to lie on a diagonal")
    return jnp.diag(jnp.ravel(x))


@operation("at")
def at(x: Array, *, index: tuple[int, ...]) -> Array:
    """One element."""
    return x[tuple(index)]


def size_of(x: Node, axis: int) -> int:
    """The size of an axis: it is known while the expression is built."""
    return x.shape[axis]


def one_hot(owner: Owner, index: int, classes: int, dtype: DTypeLike = "float32") -> Node:
    """A constant vector with one 1."""
    if not 0 <= index < classes:
        raise InputError(f"one_hot: {index} is not a class of {classes}")
    return owner.constant([float(i == index) for i in range(classes)], dtype)


# -- Broadcasting: axes are repeated only on request -----------------------------------------------------------------


def broadcast(
    name: str, a: "Node | float", b: "Node | float", left: Sequence[int] = (), right: Sequence[int] = (), **params: Any
) -> Node:
    """A binary operation after axes of ``a`` (left) and of ``b`` (right) are repeated to the other's size.

    An operand with fewer axes gets new ones at these places.

    >>> from spago_jax.compiler.symbolic import Expressions, broadcast
    >>> g = Expressions()
    >>> a, b = g.vector("a", 2), g.matrix("b", (2, 2))
    >>> g.let(a, [100, 200]).let(b, [[1, 2], [3, 4]]).run(broadcast("add", a, b, left=[1]))
    Array([[101., 102.],
           [203., 204.]], dtype=float32)

    Raises:
        InputError: for an axis that the other operand does not have, or that is longer than 1.
    """
    owner = owner_of(name, (a, b))
    a, b = owner.operands(name, (a, b))
    left, right = _axes(left), _axes(right)
    find(name)
    rank = max(a.ndim + len(left) * (a.ndim < b.ndim), b.ndim + len(right) * (b.ndim < a.ndim), a.ndim, b.ndim)
    wide_a, wide_b = _widened(name, a, b, left, rank), _widened(name, b, a, right, rank)
    sizes = list(wide_b.shape), list(wide_a.shape)
    for node, axes, to in ((wide_a, left, sizes[0]), (wide_b, right, sizes[1])):
        for axis in axes:
            if axis >= len(to):
                raise InputError(
                    f"broadcast {name}({described((a, b))}): no axis {axis} to repeat to; "
                    f"the other has shape {tuple(to)}"
                )
            if node.shape[axis] != 1:
                raise InputError(
                    f"broadcast {name}({described((a, b))}): axis {axis} of {node.label} has size {node.shape[axis]}, "
                    f"and only size 1 is repeated"
                )
    both = [wide_a, wide_b]
    for i, (axes, other) in enumerate(((left, wide_b), (right, wide_a))):
        if axes:
            shape = tuple(other.shape[d] if d in axes else size for d, size in enumerate(both[i].shape))
            both[i] = owner.apply("broadcast_to", both[i], shape=shape)
    return owner.apply(name, *both, **params)


def auto(name: str, a: Node, b: Node, **params: Any) -> Node:
    """``broadcast`` of every axis of size 1 that the other operand has longer.

    Raises:
        InputError: when the operands have not the same number of axes.
    """
    if a.ndim != b.ndim:
        raise InputError(
            f"auto {name}({described((a, b))}): shapes {a.shape} and {b.shape} should have the same number of axes"
        )
    left = [i for i in range(a.ndim) if a.shape[i] == 1 and b.shape[i] != 1]
    right = [i for i in range(a.ndim) if b.shape[i] == 1 and a.shape[i] != 1]
    return broadcast(name, a, b, left, right, **params)


@operation("broadcast_to")
def broadcast_to(x: Array, *, shape: Axes) -> Array:
    """Axes of size 1 repeated to a shape of as many axes."""
    return jnp.broadcast_to(x, shape)


def _widened(name: str, node: Node, other: Node, axes: Axes, rank: int) -> Node:
    if node.ndim >= other.ndim or not axes:
        return node
    shape = list(node.shape)
    for axis in sorted(axes):
        if axis > len(shape) or axis >= rank:
            raise InputError(
                f"broadcast {name}({described((node, other))}): no axis {axis} to repeat to; "
                f"{other.label} has shape {other.shape}"
            )
        shape.insert(axis, 1)
    return node.owner.apply("reshape", node, shape=tuple(shape))


# -- Images [batch, channels, height, width] -------------------------------------------------------------------------


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _pads(pad: Sizes) -> list[tuple[int, int]]:
    """A number, ``(height, width)``, or ``(top, bottom, left, right)``."""
    if isinstance(pad, int) or len(pad) == 2:
        height, width = _pair(pad)
        return [(height, height), (width, width)]
    return [(pad[0], pad[1]), (pad[2], pad[3])]


def _check_window(
    name: str,
    x: Node,
    *others: Node,
    kernel: Sizes | None = None,
    pad: Sizes = 0,
    stride: Sizes = 1,
    **_: Any,
) -> None:
    nodes = (x, *others)
    if x.ndim != 4:
        raise InputError(f"{name}({described(nodes)}): needs [batch, channels, height, width]")
    size = others[0].shape[2:] if others else _pair(kernel)
    if min(_pair(stride)) < 1 or min(size) < 1 or min(min(p) for p in _pads(pad)) < 0:
        raise InputError(f"{name}({described(nodes)}): kernel and stride must be above 0, and padding not below")
    for axis, (k, (low, high)) in enumerate(zip(size, _pads(pad), strict=True)):
        if x.shape[2 + axis] + low + high < k:
            what = ("height", "width")[axis]
            raise InputError(
                f"{name}({described(nodes)}): impossible {what}: {x.shape[2 + axis]} with padding {low} + {high} "
                f"is less than the kernel's {k}"
            )
    if others and others[0].shape[1] != x.shape[1]:
        raise InputError(
            f"{name}({described(nodes)}): the filter takes {others[0].shape[1]} channels, not {x.shape[1]}"
        )


@operation("conv2d", _check_window)
def conv2d(
    image: Array,
    filter: Array,
    *,
    pad: Sizes = 0,
    stride: Sizes = 1,
    dilation: Sizes = 1,
) -> Array:
    """Cross-correlation with filters ``[out, in, height, width]``."""
    return lax.conv_general_dilated(
        image,
        filter,
        _pair(stride),
        _pads(pad),
        rhs_dilation=_pair(dilation),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def conv1d(x: Node, filter: Node, pad: int = 0, stride: int = 1, dilation: int = 1) -> Node:
    """``conv2d`` of ``[batch, channels, length]`` with filters ``[out, in, length]``."""
    wide = x.owner.apply("reshape", x, shape=(*x.shape[:2], 1, x.shape[2]))
    kernel = x.owner.apply("reshape", filter, shape=(*filter.shape[:2], 1, filter.shape[2]))
    out = conv2d(wide, kernel, pad=(0, pad), stride=(1, stride), dilation=(1, dilation))
    return x.owner.apply("reshape", out, shape=(*out.shape[:2], out.shape[3]))


@operation("im2col", _check_window)
def im2col(
    image: Array,
    *,
    kernel: Sizes,
    pad: Sizes = 0,
    stride: Sizes = 1,
    dilation: Sizes = 1,
) -> Array:
    """The window around every place as a row: ``[batch, height, width, channels * kernel]``."""
    patches = lax.conv_general_dilated_patches(
        image,
        _pair(kernel),
        _pair(stride),
        _pads(pad),
        rhs_dilation=_pair(dilation),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )
    return jnp.moveaxis(patches, 1, -1)


def _windows(
    x: Array,
    start: Any,
    join: Any,
    kernel: Sizes,
    pad: Sizes,
    stride: Sizes,
) -> Array:
    return lax.reduce_window(
        x, start, join, (1, 1, *_pair(kernel)), (1, 1, *_pair(stride)), [(0, 0), (0, 0), *_pads(pad)]
    )


@operation("max_pool2d", _check_window)
def max_pool2d(x: Array, *, kernel: Sizes, pad: Sizes = 0, stride: Sizes = 1) -> Array:
    """The largest value in every window."""
    return _windows(x, -jnp.inf, lax.max, kernel, pad, stride)


@operation("average_pool2d", _check_window)
def average_pool2d(x: Array, *, kernel: Sizes, pad: Sizes = 0, stride: Sizes = 1) -> Array:
    """The mean of every window; padding counts as zeros."""
    height, width = _pair(kernel)
    return _windows(x, 0.0, lax.add, kernel, pad, stride) / (height * width)


def max_pool1d(x: Node, kernel: int, pad: int = 0, stride: int = 1) -> Node:
    """``max_pool2d`` of ``[batch, channels, length]``."""
    return _pool1d("max_pool2d", x, kernel, pad, stride)


def average_pool1d(x: Node, kernel: int, pad: int = 0, stride: int = 1) -> Node:
    """``average_pool2d`` of ``[batch, channels, length]``."""
    return _pool1d("average_pool2d", x, kernel, pad, stride)


def _pool1d(name: str, x: Node, kernel: int, pad: int, stride: int) -> Node:
    wide = x.owner.apply("reshape", x, shape=(*x.shape[:2], 1, x.shape[2]))
    out = x.owner.apply(name, wide, kernel=(1, kernel), pad=(0, pad), stride=(1, stride))
    return x.owner.apply("reshape", out, shape=(*out.shape[:2], out.shape[3]))


@operation("global_average_pool2d")
def global_average_pool2d(x: Array) -> Array:
    """The mean of every channel."""
    return jnp.mean(x, (2, 3))


@operation("upsample2d")
def upsample2d(x: Array, *, scale: int) -> Array:
    """Every pixel ``scale`` by ``scale`` times (the nearest neighbour)."""
    return jnp.repeat(jnp.repeat(x, scale, 2), scale, 3)
