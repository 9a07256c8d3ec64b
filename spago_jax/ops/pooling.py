# SPDX-License-Identifier: BSD-2-Clause
"""Pooling of pictures."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError


def max_pool2d(x: jax.Array, rows: int, columns: int) -> jax.Array:
    """The maximum of each window of ``rows`` by ``columns``, side by side: [..., height, width].

    spaGO's MaxPooling starts from the smallest positive number, so windows of negative numbers are wrong there, and
    so are windows that are not square.

    Returns:
        [..., height / rows, width / columns].

    Raises:
        InputError: where the windows do not fill the picture.

    >>> max_pool2d(jnp.arange(8.0).reshape(2, 4), 2, 2)
    Array([[5., 7.]], dtype=float32)
    """
    if x.ndim < 2:
        raise InputError(f"x has shape {tuple(x.shape)}, expected [..., height, width]")
    height, width = x.shape[-2:]
    if height % rows or width % columns:
        raise InputError(
            f"windows of {rows} x {columns} do not fill {height} x {width}: cut or pad x to "
            f"{-(-height // rows) * rows} x {-(-width // columns) * columns}"
        )
    windows = x.reshape(*x.shape[:-2], height // rows, rows, width // columns, columns)
    return jnp.max(windows, axis=(-3, -1))
