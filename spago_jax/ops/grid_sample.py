# SPDX-License-Identifier: BSD-2-Clause
"""Reading pictures at places between their pixels."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError
from spago_jax.ops.linear import as_float

_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def grid_sample(
    x: jax.Array,
    grid: jax.Array,
    *,
    mode: Literal["bilinear", "nearest", "bicubic"] = "bilinear",
    padding: Literal["zeros", "border", "reflection"] = "zeros",
    align_corners: bool = False,
) -> jax.Array:
    """The values of pictures at given places: ``y[c, i, j] = x[c, at grid[i, j]]``.

    Args:
        x: [..., channels, height, width].
        grid: [..., rows, columns, 2], places (x, y); -1 and 1 are the borders of the picture.
        mode: between pixels: of the four around by distance, the nearest one (halves to even), or cubic convolution of
            sixteen (Keys, 1981, a = -0.75).
        padding: beyond the borders: 0, the border's value, or the picture mirrored.
        align_corners: -1 and 1 are the centres of the corner pixels, and not their outer corners.

    Returns:
        [..., channels, rows, columns].

    Raises:
        InputError: for another mode or padding, or shapes that do not fit.

    Source: Jaderberg et al., "Spatial Transformer Networks" (2015); as PyTorch's ``grid_sample`` and goDl's GridSample.

    >>> picture = jnp.arange(4.0).reshape(1, 2, 2)
    >>> grid_sample(picture, jnp.zeros((1, 1, 2)))
    Array([[[1.5]]], dtype=float32)
    """
    if mode not in _MODES or padding not in _PADDINGS:
        raise InputError(f"grid_sample: mode {mode!r} and padding {padding!r}; expected one of {_MODES}, {_PADDINGS}")
    if x.ndim < 3 or grid.ndim != x.ndim or grid.shape[-1] != 2 or grid.shape[:-3] != x.shape[:-3]:
        raise InputError(
            f"grid_sample: x {list(x.shape)} and grid {list(grid.shape)}; expected [..., channels, height, width] and "
            f"[..., rows, columns, 2] with the same leading axes"
        )
    x, grid = as_float(x, grid), as_float(grid, x)
    sample = functools.partial(_sample, mode=mode, padding=padding, align=align_corners)
    for _ in x.shape[:-3]:
        sample = jax.vmap(sample)
    return sample(x, grid)


def _sample(x: jax.Array, grid: jax.Array, mode: str, padding: str, align: bool) -> jax.Array:
    _, height, width = x.shape
    column, row = _pixels(grid[..., 0], width, align), _pixels(grid[..., 1], height, align)
    if mode != "bicubic":  # of a cubic, each of the sixteen pixels is brought inside by itself
        column, row = _inside(column, width, padding, align), _inside(row, height, padding, align)
    if mode == "nearest":
        return _pixel(x, jnp.round(row), jnp.round(column))
    low_row, low_column = jnp.floor(row), jnp.floor(column)
    down, right = row - low_row, column - low_column
    if mode == "bilinear":
        offsets, rows, columns = (0, 1), (1 - down, down), (1 - right, right)
    else:
        offsets, rows, columns = (-1, 0, 1, 2), _cubic(down), _cubic(right)
    total = jnp.zeros((), x.dtype)
    for i, by_row in zip(offsets, rows, strict=True):
        for j, by_column in zip(offsets, columns, strict=True):
            at_row, at_column = low_row + i, low_column + j
            if mode == "bicubic":
                at_row, at_column = _inside(at_row, height, padding, align), _inside(at_column, width, padding, align)
            total = total + (by_row * by_column).astype(x.dtype)[None] * _pixel(x, at_row, at_column)
    return total


def _pixels(place: jax.Array, size: int, align: bool) -> jax.Array:
    """From [-1, 1] to pixels."""
    return (place + 1) / 2 * (size - 1) if align else ((place + 1) * size - 1) / 2


def _inside(place: jax.Array, size: int, padding: str, align: bool) -> jax.Array:
    """Places beyond the borders brought inside; for zeros they stay where they are."""
    if padding == "zeros":
        return place
    if padding == "reflection":
        low, span = (0.0, size - 1.0) if align else (-0.5, float(size))
        place = jnp.zeros_like(place) if span == 0 else low + _mirrored(place - low, span)
    return jnp.clip(place, 0, size - 1)


def _mirrored(distance: jax.Array, span: float) -> jax.Array:
    rest = jnp.abs(distance) % (2 * span)
    return jnp.where(rest > span, 2 * span - rest, rest)


def _pixel(x: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """[channels, ...] at whole places; 0 outside."""
    _, height, width = x.shape
    here = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    rows = jnp.clip(row, 0, height - 1).astype(jnp.int32)
    columns = jnp.clip(column, 0, width - 1).astype(jnp.int32)
    return jnp.where(here[None], x[:, rows, columns], jnp.zeros((), x.dtype))


def _cubic(t: jax.Array) -> tuple[jax.Array, ...]:
    """The weights of the four neighbours at distances 1 + t, t, 1 - t, 2 - t (Keys, 1981)."""
    a = -0.75

    def near(d: jax.Array) -> jax.Array:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: jax.Array) -> jax.Array:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return far(1 + t), near(t), near(1 - t), far(2 - t)
