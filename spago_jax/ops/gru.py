# SPDX-License-Identifier: BSD-2-Clause
"""The recurrence of the GRU, in spaGO's form and in PyTorch's.

spaGO (and Cho et al., 2014): the reset gate is applied to the state before the product, p weighs the candidate:

    r = sigmoid(zr + h Wr'),  p = sigmoid(zp + h Wp'),  c = tanh(zc + (r * h) Wc')
    h' = p c + (1 - p) h

PyTorch and cuDNN (``reset_after``): after the product, and the update gate u weighs the old state:

    r = sigmoid(zr + h Wr'),  u = sigmoid(zu + h Wu'),  c = tanh(zc + r * (h Wc' + bc))
    h' = (1 - u) c + u h
"""

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.ops.activations import fast_sigmoid
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype, matmul
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
    z: jax.Array,
    recurrent_weight: jax.Array,
    initial: jax.Array | None = None,
    lengths: jax.Array | None = None,
    *,
    recurrent_bias: jax.Array | None = None,
    reset_after: bool = False,
    reverse: bool = False,
    dtype=None,
) -> tuple[jax.Array, jax.Array]:
    """Runs the GRU over projected inputs z [time, batch, 3 * out].

    Returns:
        ys [time, batch, out], zero beyond the lengths, and the state [batch, out] after the last step read.
    """
    dtype = dtype or recurrent_weight.dtype
    time, batch, _ = z.shape
    state = jnp.zeros((batch, recurrent_weight.shape[1]), dtype) if initial is None else initial
    mask = None if lengths is None else length_mask(lengths, time).T[..., None]

    def body(state: jax.Array, inputs):
        z, real = inputs
        new = gru_step(z, state, recurrent_weight, recurrent_bias, reset_after=reset_after)
        # XLA's CPU backend has no update in place for 16-bit floats: the outputs are collected in float32.
        y = new.astype(accumulation_dtype(new.dtype))
        if real is not None:
            new = jnp.where(real, new, state)
            y = jnp.where(real, y, jnp.zeros((), y.dtype))
        return new, y

    final, ys = lax.scan(body, state, (z, mask), reverse=reverse)
    return ys.astype(state.dtype), final
