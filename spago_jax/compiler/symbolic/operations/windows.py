# SPDX-License-Identifier: BSD-2-Clause
"""Convolution, pooling and upsampling of images ``[batch, channels, height, width]``."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import described, operation
from spago_jax.errors import InputError


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _pads(pad: Any) -> list[tuple[int, int]]:
    """A number, ``(height, width)``, or ``(top, bottom, left, right)``."""
    if isinstance(pad, int) or len(pad) == 2:
        height, width = _pair(pad)
        return [(height, height), (width, width)]
    return [(pad[0], pad[1]), (pad[2], pad[3])]


def _check_window(
    name: str, x: Node, *others: Node, kernel: Any = None, pad: Any = 0, stride: Any = 1, **_: Any
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
def conv2d(image: Any, filter: Any, *, pad: Any = 0, stride: Any = 1, dilation: Any = 1) -> Any:
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
def im2col(image: Any, *, kernel: Any, pad: Any = 0, stride: Any = 1, dilation: Any = 1) -> Any:
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


def _windows(x: Any, start: Any, join: Any, kernel: Any, pad: Any, stride: Any) -> Any:
    return lax.reduce_window(
        x, start, join, (1, 1, *_pair(kernel)), (1, 1, *_pair(stride)), [(0, 0), (0, 0), *_pads(pad)]
    )


@operation("max_pool2d", _check_window)
def max_pool2d(x: Any, *, kernel: Any, pad: Any = 0, stride: Any = 1) -> Any:
    """The largest value in every window."""
    return _windows(x, -jnp.inf, lax.max, kernel, pad, stride)


@operation("average_pool2d", _check_window)
def average_pool2d(x: Any, *, kernel: Any, pad: Any = 0, stride: Any = 1) -> Any:
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
def global_average_pool2d(x: Any) -> Any:
    """The mean of every channel."""
    return jnp.mean(x, (2, 3))


@operation("upsample2d")
def upsample2d(x: Any, *, scale: int) -> Any:
    """Every pixel ``scale`` by ``scale`` times (the nearest neighbour)."""
    return jnp.repeat(jnp.repeat(x, scale, 2), scale, 3)
