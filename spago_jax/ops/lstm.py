# SPDX-License-Identifier: BSD-2-Clause
"""The recurrence of the LSTM: one step, and the kernel that runs a sequence.

    i, f, g, o = z + h_prev W'          (one block each, in this order, as in PyTorch)
    c = sigmoid(f) c_prev + sigmoid(i) tanh(g)
    h = sigmoid(o) tanh(c)

Source: Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000); spaGO nn/recurrent/lstm.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.ops.linear import accumulation_dtype, matmul
from spago_jax.ops.masks import length_mask

CLOSED = 1e9
"""A gate's pre-activation that closes it for good: sigmoid(-1e9) is 0 and sigmoid(1e9) is 1 in every dtype."""


class LSTMState(NamedTuple):
    """``hidden`` [..., out] is the output of the last step; ``cell`` [..., out] is kept in float32 at least."""

    hidden: jax.Array
    cell: jax.Array


def lstm_zero_state(lead: tuple[int, ...], features: int, dtype) -> LSTMState:
    """The state before the first step: zeros."""
    return LSTMState(jnp.zeros((*lead, features), dtype), jnp.zeros((*lead, features), accumulation_dtype(dtype)))


def lstm_update(gates: jax.Array, state: LSTMState) -> LSTMState:
    """The elementwise half of a step: pre-activations [..., 4 * out] and the state -> the new state.

    >>> state = lstm_zero_state((), 1, jnp.float32)
    >>> lstm_update(jnp.array([100.0, 0.0, 100.0, 100.0]), state).hidden
    Array([0.7615942], dtype=float32)
    """
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    cell = jax.nn.sigmoid(f) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
    return LSTMState(hidden.astype(state.hidden.dtype), cell)


def close_gates(z: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """Pre-activations [time, batch, 4 * out] whose padding steps keep the cell and put out zero.

    With i and o shut and f open, ``c = c_prev`` and ``h = 0`` exactly, and all gradients of the gates are zero: the
    loops need no mask.
    """
    if lengths is None:
        return z
    time, _, four = z.shape
    block = jnp.arange(four) // (four // 4)
    fill = jnp.where(block == 1, CLOSED, -CLOSED).astype(z.dtype)
    return jnp.where(length_mask(lengths, time).T[..., None], z, fill)


def lstm_scan(
    z: jax.Array,
    recurrent_weight: jax.Array,
    initial: LSTMState | None = None,
    lengths: jax.Array | None = None,
    *,
    reverse: bool = False,
    dtype=None,
) -> tuple[jax.Array, LSTMState]:
    """Runs the LSTM over projected inputs.

    Args:
        z: [time, batch, 4 * out]: input projection and bias, in the accumulation dtype.
        recurrent_weight: [4 * out, out].
        initial: the state to start from; None: zeros.
        lengths: int[batch]; None: all steps are real.
        reverse: from the last real step to the first.
        dtype: of the outputs; None: that of the weight.

    Returns:
        ys [time, batch, out], zero beyond the lengths, and the state after the last step read.
    """
    dtype = dtype or recurrent_weight.dtype
    batch, features = z.shape[1], recurrent_weight.shape[1]
    state = initial if initial is not None else lstm_zero_state((batch,), features, dtype)
    time = z.shape[0]
    mask = None if lengths is None else length_mask(lengths, time).T[..., None]

    def body(state: LSTMState, inputs):
        z, real = inputs
        new = lstm_update(z + matmul(state.hidden, recurrent_weight), state)
        y = new.hidden
        if real is not None:
            new = LSTMState(*(jnp.where(real, a, b) for a, b in zip(new, state, strict=True)))
            y = jnp.where(real, y, jnp.zeros((), y.dtype))
        return new, y

    final, ys = lax.scan(body, state, (z, mask), reverse=reverse, unroll=min(4, time))
    return ys, final
