# SPDX-License-Identifier: BSD-2-Clause
"""The recurrence of the GRU, in spaGO's form and in PyTorch's: one step, and whole sequences by the kernel.

spaGO (and Cho et al., 2014): the reset gate is applied to the state before the product, p weighs the candidate:

    r = sigmoid(zr + h Wr'),  p = sigmoid(zp + h Wp'),  c = tanh(zc + (r * h) Wc')
    h' = p c + (1 - p) h

PyTorch and cuDNN (``reset_after``): after the product, and the update gate u weighs the old state:

    r = sigmoid(zr + h Wr'),  u = sigmoid(zu + h Wu'),  c = tanh(zc + r * (h Wc' + bc))
    h' = (1 - u) c + u h
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.broadcast import over
from spago_jax.ops.gru_kernel import gru_columns
from spago_jax.ops.linear import matmul
from spago_jax.ops.masks import length_mask


def gru_step(
    z: jax.Array,
    hidden: jax.Array,
    recurrent_weight: jax.Array,
    recurrent_bias: jax.Array | None = None,
    *,
    reset_after: bool = False,
) -> jax.Array:
    """One step: projected input z [..., 3 * out] in gate order reset, update, candidate, and the state [..., out].

    Args:
        z: [..., 3 * out], bias included.
        hidden: [..., out].
        recurrent_weight: [3 * out, out].
        recurrent_bias: [out], inside the reset of the candidate; for ``reset_after`` alone.
        reset_after: PyTorch's form.

    >>> gru_step(jnp.array([0.0, 100.0, 100.0]), jnp.zeros(1), jnp.zeros((3, 1)))
    Array([1.], dtype=float32)
    """
    out = hidden.shape[-1]
    if reset_after:
        product = matmul(hidden, recurrent_weight)
        gates = fast_sigmoid(z[..., : 2 * out] + product[..., : 2 * out])
        r, u = gates[..., :out], gates[..., out:]
        inner = product[..., 2 * out :]
        if recurrent_bias is not None:
            inner = inner + over(recurrent_bias, inner)
        c = jnp.tanh(z[..., 2 * out :] + r * inner)
        new = c + u * (hidden - c)
    else:
        gates = fast_sigmoid(z[..., : 2 * out] + matmul(hidden, recurrent_weight[: 2 * out]))
        r, p = gates[..., :out], gates[..., out:]
        reset = (r * hidden).astype(hidden.dtype)
        c = jnp.tanh(z[..., 2 * out :] + matmul(reset, recurrent_weight[2 * out :]))
        new = hidden + p * (c - hidden)
    return new.astype(hidden.dtype)


def gru_scan(
    xs: jax.Array,
    parameters: Sequence[tuple[jax.Array, jax.Array, jax.Array]],
    initials: Sequence[jax.Array | None],
    lengths: jax.Array | None = None,
    *,
    recurrent_biases: Sequence[jax.Array] | None = None,
    reverses: Sequence[bool] = (False,),
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Runs one GRU, or several at once, over the same inputs by the kernel.

    Args:
        xs: [time, batch, in], zeros beyond the lengths.
        parameters: for each: input weight [3 * out, in], recurrent weight [3 * out, out], bias [3 * out].
        initials: for each: the state [batch, out] to start from; None: zeros.
        lengths: int[batch]; None: all steps are real.
        recurrent_biases: for each: [out], for PyTorch's form; None: spaGO's form.
        reverses: for each: whether it reads from the last real step to the first.

    Returns:
        For each: ys [time, batch, out], zero beyond the lengths, and the state [batch, out] after the last step read.

    >>> parameters = jnp.zeros((3, 1)), jnp.zeros((3, 1)), jnp.array([0.0, 0.0, 100.0])
    >>> ys, finals = gru_scan(jnp.zeros((2, 1, 1)), [parameters], [None])
    >>> ys[0].ravel(), finals[0]
    (Array([0.5 , 0.75], dtype=float32), Array([[0.75]], dtype=float32))
    """
    time, batch, _ = xs.shape
    mask = None if lengths is None else length_mask(lengths, time).T
    dtype = jnp.promote_types(xs.dtype, parameters[0][1].dtype)
    inputs, weights, biases = zip(*parameters, strict=True)
    hiddens = [
        jnp.zeros((weight.shape[1], batch), dtype) if initial is None else initial.T.astype(dtype)
        for weight, initial in zip(weights, initials, strict=True)
    ]
    results: Any = gru_columns(
        tuple(reverses),
        xs.astype(dtype),
        tuple(weight.astype(dtype) for weight in inputs),
        tuple(weight.astype(dtype) for weight in weights),
        tuple(biases),
        None if recurrent_biases is None else tuple(recurrent_biases),
        tuple(hiddens),
        mask,
    )
    ys, finals = [], []
    for out, hidden in zip(*results, strict=True):
        y = out.swapaxes(1, 2)
        ys.append((y if mask is None else jnp.where(mask[..., None], y, 0)).astype(xs.dtype))
        finals.append(hidden.T.astype(xs.dtype))
    return ys, finals
