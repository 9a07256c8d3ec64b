# SPDX-License-Identifier: BSD-2-Clause
"""Convolution over pictures, channels first as in PyTorch."""

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.errors import InputError
from spago_jax.ops.conv import check_padding
from spago_jax.ops.linear import as_float


def conv2d(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str = "valid",
    groups: int = 1,
) -> jax.Array:
    """Cross-correlation, ``y[o, i, j] = b[o] + sum_(c, k, l) W[o, c, k, l] x[c, i s_1 + k, j s_2 + l]``.

    Args:
        x: [..., in, height, width].
        weight: [out, in / groups, rows, columns], as in PyTorch.
        bias: [out], or None.
        strides: over the height and the width; what is left of the last stride is not used.
        padding: ``valid`` or ``same`` (``(rows - 1) // 2`` zeros above, the rest below, and so on).
        groups: the number of groups that the channels are split into, each with its own outputs; ``in`` is depth-wise.

    Returns:
        [..., out, height', width'], in the dtype of ``x``.

    Raises:
        InputError: for an unknown padding, shapes that do not fit, or a picture smaller than the kernel.

    >>> conv2d(jnp.arange(6.0).reshape(1, 2, 3), jnp.ones((1, 1, 2, 2)))
    Array([[[ 8., 12.]]], dtype=float32)
    """
    check_padding(padding)
    x = as_float(x, weight)
    if x.ndim < 3 or weight.ndim != 4 or weight.shape[1] * groups != x.shape[-3] or weight.shape[0] % groups:
        raise InputError(
            f"x has shape {tuple(x.shape)} and weight {tuple(weight.shape)} with {groups} groups, expected "
            "[..., in, height, width] and [out, in / groups, rows, columns]"
        )
    kernel = weight.shape[2:]
    if padding == "same":
        pads = [((size - 1) // 2, size - 1 - (size - 1) // 2) for size in kernel]
    else:
        pads = [(0, 0), (0, 0)]
        if x.shape[-2] < kernel[0] or x.shape[-1] < kernel[1]:
            raise InputError(
                f"{x.shape[-2]} x {x.shape[-1]} is smaller than the kernel {kernel[0]} x {kernel[1]} of a 'valid' "
                "convolution; use 'same'"
            )
    dtype = jnp.promote_types(x.dtype, weight.dtype)
    y = lax.conv_general_dilated(
        x.reshape(-1, *x.shape[-3:]).astype(dtype),
        weight.astype(dtype),
        window_strides=strides,
        padding=pads,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        feature_group_count=groups,
    )
    if bias is not None:
        y = y + bias.astype(dtype).reshape(1, -1, 1, 1)
    return y.reshape(*x.shape[:-3], *y.shape[1:]).astype(x.dtype)
