# SPDX-License-Identifier: BSD-2-Clause
"""Convolution over time and max pooling, both blind to what lies beyond a length."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError, did_you_mean
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype, as_float, linear
from spago_jax.ops.masks import length_mask, some_steps, zero_padding

PADDINGS = ("same", "valid")


def check_padding(name: str, where: str = "") -> str:
    """A known padding; ``where`` begins the message of the error.

    Raises:
        InputError: for an unknown name, with the nearest.
    """
    if name not in PADDINGS:
        raise InputError(f"{where}unknown padding {name!r}, {did_you_mean(name, PADDINGS)}")
    return name


def conv1d(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    lengths: jax.Array | None = None,
    padding: str = "same",
    stride: int = 1,
    groups: int = 1,
) -> jax.Array:
    """Cross-correlation over time, ``y[t] = b + sum_k W[:, :, k] x[t * stride + k - before]``.

    The windows are laid side by side and multiplied once: on a CPU that is one flat matrix product, forward and
    backward, where XLA's convolution is several times slower for such short sequences.

    Args:
        x: [..., time, in].
        weight: [out, in / groups, width], as in PyTorch.
        bias: [out], or None.
        lengths: int[...], the real steps; what lies beyond counts as zero.
        padding: ``same`` keeps the time (``(width - 1) // 2`` zeros before, the rest after);
            ``valid`` gives ``time - width + 1`` steps.
        stride: every how many of these steps are computed, from the first on.
        groups: the number of groups that the features are split into, each with its own outputs; ``in`` is depth-wise.

    Returns:
        [..., steps, out].

    Raises:
        InputError: for an unknown padding, shapes that do not fit, or fewer steps than the width when ``valid``.

    >>> x = jnp.array([[1.0], [2.0], [3.0]])
    >>> conv1d(x, jnp.array([[[1.0, 10.0]]]), padding="valid")[:, 0]
    Array([21., 32.], dtype=float32)
    """
    check_padding(padding)
    x = as_float(x, weight)
    if weight.ndim != 3 or weight.shape[1] * groups != x.shape[-1] or weight.shape[0] % groups:
        grouped = f" with {groups} groups" if groups > 1 else ""
        raise InputError(
            f"x has shape {tuple(x.shape)} and weight {tuple(weight.shape)}{grouped}, expected [out, in, width]"
        )
    out, features, width = weight.shape
    time = x.shape[-2]
    x = zero_padding(x, lengths)
    if padding == "same":
        before = (width - 1) // 2
        x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(before, width - 1 - before), (0, 0)])
        steps = time
    else:
        steps = time - width + 1
        if steps < 1:
            raise InputError(f"{time} steps are fewer than the width {width} of a 'valid' convolution; use 'same'")
    slices = [x[..., k : k + steps : stride, :] for k in range(width)]
    if groups == 1:
        flat = weight.transpose(0, 2, 1).reshape(out, width * features)
        return linear(jnp.concatenate(slices, axis=-1), flat, bias)
    split = [part.reshape(*part.shape[:-1], groups, features) for part in slices]
    flat = weight.transpose(0, 2, 1).reshape(groups, out // groups, width * features)
    dtype = jnp.promote_types(x.dtype, weight.dtype)
    y = jnp.einsum(
        "...gi,goi->...go",
        jnp.concatenate(split, axis=-1).astype(dtype),
        flat.astype(dtype),
        preferred_element_type=accumulation_dtype(dtype),
    )
    y = y.reshape(*y.shape[:-2], out)
    return (y if bias is None else y + over(bias.astype(y.dtype), y)).astype(x.dtype)


def max_over_time(x: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
    """The maximum over the real steps of ``x`` [..., time, features]: [..., features]; zeros where there is none.

    >>> max_over_time(jnp.array([[-2.0], [-1.0], [5.0]]), jnp.array(2))
    Array([-1.], dtype=float32)
    """
    x, lengths = some_steps(x, lengths)
    if lengths is None:
        return jnp.max(x, axis=-2)
    mask = length_mask(lengths, x.shape[-2])[..., None]
    x = as_float(x)
    low = jnp.asarray(jnp.finfo(x.dtype).min, x.dtype)
    return jnp.where(jnp.asarray(lengths)[..., None] > 0, jnp.max(jnp.where(mask, x, low), axis=-2), 0)
