# SPDX-License-Identifier: BSD-2-Clause
"""The recurrence of the LSTM: one step, and whole sequences by the kernel (on NVIDIA GPUs by cuDNN).

    i, f, g, o = z + h_prev W'          (one block each, in this order, as in PyTorch)
    c = sigmoid(f) c_prev + sigmoid(i) tanh(g)
    h = sigmoid(o) tanh(c)

Source: Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000); spaGO nn/recurrent/lstm.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.ops.linear import accumulation_dtype
from spago_jax.ops.lstm_cudnn import cudnn_fits, lstm_by_cudnn
from spago_jax.ops.lstm_kernel import lstm_columns
from spago_jax.ops.masks import length_mask


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


def lstm_scan(
    xs: jax.Array,
    parameters: Sequence[tuple[jax.Array, jax.Array, jax.Array]],
    initials: Sequence[LSTMState | None],
    lengths: jax.Array | None = None,
    *,
    reverses: Sequence[bool] = (False,),
) -> tuple[list[jax.Array], list[LSTMState]]:
    """Runs one LSTM, or several at once, over the same inputs by the kernel.

    Args:
        xs: [time, batch, in], zeros beyond the lengths.
        parameters: for each: input weight [4 * out, in], recurrent weight [4 * out, out], bias [4 * out].
        initials: for each: the state to start from; None: zeros.
        lengths: int[batch]; None: all steps are real.
        reverses: for each: whether it reads from the last real step to the first.

    Returns:
        For each: ys [time, batch, out], zero beyond the lengths, and the state after the last step read.
    """
    batch = xs.shape[1]
    dtype = jnp.promote_types(xs.dtype, parameters[0][1].dtype)
    wide, own = accumulation_dtype(dtype), xs.astype(dtype)
    inputs, weights, biases, hiddens, cells = [], [], [], [], []
    for (input_weight, weight, bias), initial in zip(parameters, initials, strict=True):
        inputs.append(input_weight.astype(dtype))
        weights.append(weight.astype(dtype))
        biases.append(bias)
        state = lstm_zero_state((batch,), weight.shape[1], dtype) if initial is None else initial
        hiddens.append(state.hidden.astype(dtype))
        cells.append(state.cell.astype(wide))
    arguments = (own, tuple(inputs), tuple(weights), tuple(biases), tuple(hiddens), tuple(cells), lengths)
    plain = functools.partial(_by_columns, tuple(reverses))
    if cudnn_fits(reverses, own, (inputs, weights, biases), (hiddens, cells)):
        cuda = functools.partial(lstm_by_cudnn, tuple(reverses))
        results: Any = lax.platform_dependent(*arguments, cuda=cuda, default=plain)
    else:
        results = plain(*arguments)
    ys, finals = [], []
    for y, hidden, cell in zip(*results, strict=True):
        ys.append(y.astype(xs.dtype))
        finals.append(LSTMState(hidden.astype(xs.dtype), cell))
    return ys, finals


def _by_columns(reverses, xs, inputs, weights, biases, hiddens, cells, lengths):
    """By our kernel; arguments and results as those of ``lstm_by_cudnn``."""
    mask = None if lengths is None else length_mask(lengths, xs.shape[0]).T
    columns = (tuple(state.T for state in states) for states in (hiddens, cells))
    results: Any = lstm_columns(reverses, xs, inputs, weights, biases, *columns, mask)
    outputs, *finals = results
    ys = tuple(out.swapaxes(1, 2) for out in outputs)
    if mask is not None:
        ys = tuple(jnp.where(mask[..., None], y, jnp.zeros((), y.dtype)) for y in ys)
    return ys, *(tuple(state.T for state in states) for states in finals)
