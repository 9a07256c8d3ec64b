# SPDX-License-Identifier: BSD-2-Clause
"""The LSTM kernel: any number of directions in one loop, features first, with a hand-made gradient.

Why it looks as it does (numbers in docs/benchmarks.md):

* Features first, batch last: ``weight @ h`` with h [out, batch] lets XLA's CPU product keep the weight as it lies
  in memory, where ``h @ weight.T`` repacks it at every step.
* One tanh over all four gates, ``sigmoid(x) = tanh(x / 2) / 2 + 1 / 2``: XLA's tanh vectorises, its logistic not.
* The gradient saves the gates' activations, and its loop makes the gates' gradients alone; the gradients of both
  weights are one large product each, outside of the loop.
* Padding closes the gates i and o and opens f, so that the cell holds and all gradients of the gates are zero.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from spago_jax.ops.linear import accumulation_dtype

CLOSED = 1e9
"""A pre-activation that shuts a gate (negative) or opens it (positive) for good, in every dtype."""

Arrays = tuple[jax.Array, ...]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def lstm_columns(
    reverses: tuple[bool, ...],
    xs: jax.Array,
    input_weights: Arrays,
    weights: Arrays,
    biases: Arrays,
    hiddens: Arrays,
    cells: Arrays,
    mask: jax.Array | None,
) -> tuple[Arrays, Arrays, Arrays]:
    """Runs one or more LSTMs, each from its own end, in one loop.

    Args:
        reverses: for each direction, whether it reads from the last step.
        xs: inputs [time, batch, in], zeros where there is none.
        input_weights: [4 * out, in].
        weights: recurrent weights [4 * out, out].
        biases: [4 * out].
        hiddens: first states [out, batch], in the dtype of the weights.
        cells: first cells [out, batch], in the accumulation dtype.
        mask: bool[time, batch], the real steps; None: all.

    Returns:
        For each direction the outputs [time, out, batch] (beyond a length: the state that was held), the final
        hidden state and the final cell [out, batch].
    """
    return _forward(reverses, xs, input_weights, weights, biases, hiddens, cells, mask, save=False)[0]


def _scales(features: int, dtype: Any) -> jax.Array:
    """What the pre-activations [4 * out, 1] are multiplied with before the one tanh."""
    return jnp.asarray(np.repeat([0.5, 0.5, 1.0, 0.5], features)[:, None], dtype)


def _fills(features: int, dtype: Any) -> jax.Array:
    """The pre-activations of a step that is padding: i and o shut, f open."""
    return jnp.asarray(np.repeat([-CLOSED, CLOSED, 0.0, -CLOSED], features)[:, None], dtype)


def _at(array: jax.Array, t: jax.Array, axis: int = 0) -> jax.Array:
    return lax.dynamic_index_in_dim(array, t, axis, keepdims=False)


def _empty(shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """A buffer that a loop fills. 16-bit floats go in as integers: XLA's CPU backend has no update in place for
    them, and would widen and narrow the whole buffer at every step.
    """
    return jnp.zeros(shape, jnp.uint16 if jnp.dtype(dtype).itemsize == 2 else dtype)


def _put(buffer: jax.Array, value: jax.Array, t: jax.Array, axis: int = 0) -> jax.Array:
    if buffer.dtype == jnp.uint16:
        value = lax.bitcast_convert_type(value, jnp.uint16)
    return lax.dynamic_update_index_in_dim(buffer, value, t, axis)


def _filled(buffer: jax.Array, dtype: Any) -> jax.Array:
    return lax.bitcast_convert_type(buffer, dtype) if buffer.dtype == jnp.uint16 else buffer


def _product(a: jax.Array, b: jax.Array, axis: int = 0) -> jax.Array:
    """``a @ b`` or, with axis 1, ``a @ b.T``: the left side is contracted along its last axis.

    XLA's CPU backend has no fast path for the other case (1.5 times slower in float32, 7 times in bfloat16).
    """
    return lax.dot_general(a, b, (((1,), (axis,)), ((), ())), preferred_element_type=accumulation_dtype(a.dtype))


def _transpose(a: jax.Array) -> jax.Array:
    """``a.T`` as a copy. Left alone, XLA folds it into the product and falls off the fast path."""
    return lax.optimization_barrier(a.T)


def _split(a: jax.Array) -> list[jax.Array]:
    return jnp.split(a, 4, axis=0)


def _forward(reverses, xs, input_weights, weights, biases, hiddens, cells, mask, *, save: bool):
    time, batch, _ = xs.shape

    def start(hidden, cell):
        features, wide = hidden.shape[0], cell.dtype
        saved = (_empty((time, 4 * features, batch), wide), _empty((time, *cell.shape), wide))
        return (hidden, cell, _empty((time, features, batch), hidden.dtype), *(saved if save else ()))

    def one(t, real, input_weight, weight, bias, carry):
        hidden, cell, outputs, *saved = carry
        features, wide = hidden.shape[0], cell.dtype
        gates = _product(input_weight, _at(xs, t), 1) + _product(weight, hidden) + bias[:, None].astype(wide)
        gates = gates * _scales(features, wide)
        if real is not None:
            gates = jnp.where(real, gates, _fills(features, wide))
        gates = jnp.tanh(gates)
        i, f, g, o = _split(gates)
        new_cell = (f * 0.5 + 0.5) * cell + (i * 0.5 + 0.5) * g
        new_hidden = ((o * 0.5 + 0.5) * jnp.tanh(new_cell)).astype(hidden.dtype)
        if real is not None:
            new_hidden = jnp.where(real, new_hidden, hidden)
        kept = (_put(saved[0], gates, t), _put(saved[1], cell, t)) if save else ()
        return new_hidden, new_cell, _put(outputs, new_hidden, t), *kept

    def body(step, carries):
        new = []
        for number, carry in enumerate(carries):
            t = time - 1 - step if reverses[number] else step
            real = None if mask is None else _at(mask, t)
            new.append(one(t, real, input_weights[number], weights[number], biases[number], carry))
        return tuple(new)

    first = tuple(start(*args) for args in zip(hiddens, cells, strict=True))
    ends = lax.fori_loop(0, time, body, first)
    outputs = tuple(_filled(end[2], end[0].dtype) for end in ends)
    result = (outputs, tuple(end[0] for end in ends), tuple(end[1] for end in ends))
    return result, tuple(end[3:] for end in ends)


def _forward_rule(reverses, xs, input_weights, weights, biases, hiddens, cells, mask):
    result, saved = _forward(reverses, xs, input_weights, weights, biases, hiddens, cells, mask, save=True)
    return result, (xs, input_weights, weights, biases, hiddens, mask, result[0], result[2], saved)


def _backward_rule(reverses, residuals, gradients):
    xs, input_weights, weights, biases, hiddens, mask, outputs, last_cells, saved = residuals
    time, batch, features = xs.shape
    transposed = tuple(_transpose(weight) for weight in weights)
    transposed_inputs = tuple(_transpose(weight) for weight in input_weights)

    def one(t, slot, real, input_weight, weight, gates_all, cells_all, dys, carry):
        dhidden, dcell, after, dzs, dxs = carry
        wide = dcell.dtype
        before = _at(cells_all, t)
        i, f, g, o = _split(_at(gates_all, t))
        dh, held = dhidden + _at(dys, t).astype(wide), None
        if real is not None:
            dh, held = jnp.where(real, dh, 0), jnp.where(real, 0, dh)
        tanh_cell = lax.optimization_barrier(jnp.tanh(after))
        dc = lax.optimization_barrier(dcell + dh * (o * 0.5 + 0.5) * (1 - tanh_cell * tanh_cell))
        pieces = [
            dc * g * (1 - i * i) * 0.25,
            dc * before * (1 - f * f) * 0.25,
            dc * (i * 0.5 + 0.5) * (1 - g * g),
            dh * tanh_cell * (1 - o * o) * 0.25,
        ]
        # Fused into one loop, a concatenation asks at every number which piece it is in.
        dgates = jnp.concatenate(lax.optimization_barrier([piece.astype(weight.dtype) for piece in pieces]))
        dhidden = _product(weight, dgates)
        if held is not None:
            dhidden = dhidden + held
        dxs = _put(dxs, _product(input_weight, dgates), t)
        return dhidden, dc * (f * 0.5 + 0.5), before, _put(dzs, dgates, slot, 1), dxs

    def body(step, carries):
        new = []
        for number, carry in enumerate(carries):
            t = step if reverses[number] else time - 1 - step
            slot = t + 1 if reverses[number] else t
            real = None if mask is None else _at(mask, t)
            gates, cells = saved[number]
            weight_pair = transposed_inputs[number], transposed[number]
            new.append(one(t, slot, real, *weight_pair, gates, cells, gradients[0][number], carry))
        return tuple(new)

    # One slot more than there are steps: it stays zero, lines dz up with the states before each step, and keeps
    # the stride between rows off the powers of two, where all rows would fall into the same few cache lines.
    first = tuple(
        (
            dhidden.astype(dcell.dtype),
            dcell,
            cell,
            _empty((4 * cell.shape[0], time + 1, batch), out.dtype),
            _empty((time, features, batch), dcell.dtype),
        )
        for dhidden, dcell, cell, out in zip(gradients[1], gradients[2], last_cells, outputs, strict=True)
    )
    ends = lax.fori_loop(0, time, body, first)
    dxs = functools.reduce(jnp.add, [end[4] for end in ends]).swapaxes(1, 2)
    dinputs, dweights, dbiases = [], [], []
    for reverse, end, out, hidden, inputs, weight, bias in zip(
        reverses, ends, outputs, hiddens, input_weights, weights, biases, strict=True
    ):
        dz = _filled(end[3], out.dtype).reshape(4 * out.shape[1], -1)
        edge, nothing = hidden[None], jnp.zeros_like(xs[:1])
        before = jnp.concatenate([out, edge] if reverse else [edge, out], axis=0)
        padded = jnp.concatenate([nothing, xs] if reverse else [xs, nothing], axis=0)
        before = lax.optimization_barrier(before.swapaxes(0, 1)).reshape(out.shape[1], -1)
        dinputs.append(_product(dz, padded.reshape(-1, features)).astype(inputs.dtype))
        dweights.append(_product(dz, before, 1).astype(weight.dtype))
        dbiases.append(jnp.sum(dz, axis=1, dtype=accumulation_dtype(dz.dtype)).astype(bias.dtype))
    dhiddens = tuple(end[0].astype(hidden.dtype) for end, hidden in zip(ends, hiddens, strict=True))
    dcells = tuple(end[1] for end in ends)
    return dxs.astype(xs.dtype), tuple(dinputs), tuple(dweights), tuple(dbiases), dhiddens, dcells, None


lstm_columns.defvjp(_forward_rule, _backward_rule)
