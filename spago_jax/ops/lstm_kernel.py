# SPDX-License-Identifier: BSD-2-Clause
"""The LSTM kernel: any number of directions in one loop, features first, with a hand-made gradient.

Why it looks as it does: see ``recurrent_kernel``. Padding closes the gates i and o and opens f.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from spago_jax.ops.linear import accumulation_dtype
from spago_jax.ops.recurrent_kernel import (
    CLOSED,
    Arrays,
    at,
    empty,
    filled,
    flat_columns,
    input_gradient,
    loop,
    product,
    put,
    states_before,
    transposed,
)


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


def _scales(features: int, dtype: DTypeLike) -> jax.Array:
    """What the pre-activations [4 * out, 1] are multiplied with before the one tanh."""
    return jnp.asarray(np.repeat([0.5, 0.5, 1.0, 0.5], features)[:, None], dtype)


def _fills(features: int, dtype: DTypeLike) -> jax.Array:
    """The pre-activations of a step that is padding: i and o shut, f open."""
    return jnp.asarray(np.repeat([-CLOSED, CLOSED, 0.0, -CLOSED], features)[:, None], dtype)


def _split(a: jax.Array) -> list[jax.Array]:
    return jnp.split(a, 4, axis=0)


def _forward(reverses, xs, input_weights, weights, biases, hiddens, cells, mask, *, save: bool):
    time, batch, _ = xs.shape

    def start(hidden, cell):
        features, wide = hidden.shape[0], cell.dtype
        saved = (empty((time, 4 * features, batch), wide), empty((time, *cell.shape), wide))
        return (hidden, cell, empty((time, features, batch), hidden.dtype), *(saved if save else ()))

    def one(number, t, real, carry):
        hidden, cell, outputs, *saved = carry
        features, wide = hidden.shape[0], cell.dtype
        gates = product(input_weights[number], at(xs, t), 1) + product(weights[number], hidden)
        gates = gates + biases[number][:, None].astype(wide)
        gates = gates * _scales(features, wide)
        if real is not None:
            gates = jnp.where(real, gates, _fills(features, wide))
        gates = jnp.tanh(gates)
        i, f, g, o = _split(gates)
        new_cell = (f * 0.5 + 0.5) * cell + (i * 0.5 + 0.5) * g
        new_hidden = ((o * 0.5 + 0.5) * jnp.tanh(new_cell)).astype(hidden.dtype)
        if real is not None:
            new_hidden = jnp.where(real, new_hidden, hidden)
        kept = (put(saved[0], gates, t), put(saved[1], cell, t)) if save else ()
        return new_hidden, new_cell, put(outputs, new_hidden, t), *kept

    ends = loop(time, reverses, mask, one, [start(*args) for args in zip(hiddens, cells, strict=True)])
    outputs = tuple(filled(end[2], end[0].dtype) for end in ends)
    result = (outputs, tuple(end[0] for end in ends), tuple(end[1] for end in ends))
    return result, tuple(end[3:] for end in ends)


def _forward_rule(reverses, xs, input_weights, weights, biases, hiddens, cells, mask):
    result, saved = _forward(reverses, xs, input_weights, weights, biases, hiddens, cells, mask, save=True)
    return result, (xs, input_weights, weights, biases, hiddens, mask, result[0], result[2], saved)


def _backward_rule(reverses, residuals, gradients):
    xs, input_weights, weights, biases, hiddens, mask, outputs, last_cells, saved = residuals
    time, batch, features = xs.shape
    turned = tuple(transposed(weight) for weight in weights)
    turned_inputs = tuple(transposed(weight) for weight in input_weights)

    def one(number, t, real, carry):
        dhidden, dcell, after, dzs, dxs = carry
        wide = dcell.dtype
        before = at(saved[number][1], t)
        i, f, g, o = _split(at(saved[number][0], t))
        dh, held = dhidden + at(gradients[0][number], t).astype(wide), None
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
        dgates = jnp.concatenate(lax.optimization_barrier([piece.astype(weights[number].dtype) for piece in pieces]))
        dhidden = product(turned[number], dgates)
        if held is not None:
            dhidden = dhidden + held
        dxs = put(dxs, product(turned_inputs[number], dgates), t)
        dzs = put(dzs, dgates, t + int(reverses[number]), 1)
        return dhidden, dc * (f * 0.5 + 0.5), before, dzs, dxs

    # One slot more than there are steps: it stays zero, lines dz up with the states before each step, and keeps
    # the stride between rows off the powers of two, where all rows would fall into the same few cache lines.
    first = tuple(
        (
            dhidden.astype(dcell.dtype),
            dcell,
            cell,
            empty((4 * cell.shape[0], time + 1, batch), out.dtype),
            empty((time, features, batch), dcell.dtype),
        )
        for dhidden, dcell, cell, out in zip(gradients[1], gradients[2], last_cells, outputs, strict=True)
    )
    ends = loop(time, [not reverse for reverse in reverses], mask, one, first)
    dxs = functools.reduce(jnp.add, [end[4] for end in ends]).swapaxes(1, 2)
    dinputs, dweights, dbiases = [], [], []
    for reverse, end, out, hidden, inputs, weight, bias in zip(
        reverses, ends, outputs, hiddens, input_weights, weights, biases, strict=True
    ):
        dz = filled(end[3], out.dtype).reshape(4 * out.shape[1], -1)
        before = flat_columns(states_before(out, hidden, reverse))
        dinputs.append(input_gradient(dz, xs, reverse).astype(inputs.dtype))
        dweights.append(product(dz, before, 1).astype(weight.dtype))
        dbiases.append(jnp.sum(dz, axis=1, dtype=accumulation_dtype(dz.dtype)).astype(bias.dtype))
    dhiddens = tuple(end[0].astype(hidden.dtype) for end, hidden in zip(ends, hiddens, strict=True))
    dcells = tuple(end[1] for end in ends)
    return dxs.astype(xs.dtype), tuple(dinputs), tuple(dweights), tuple(dbiases), dhiddens, dcells, None


lstm_columns.defvjp(_forward_rule, _backward_rule)
