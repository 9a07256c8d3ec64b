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
    zs: Arrays,
    weights: Arrays,
    biases: Arrays,
    hiddens: Arrays,
    cells: Arrays,
    mask: jax.Array | None,
) -> tuple[Arrays, Arrays, Arrays]:
    """Runs one or more LSTMs, each from its own end, in one loop.

    Args:
        reverses: for each direction, whether it reads from the last step.
        zs: input products [4 * out, time, batch], without the bias.
        weights: recurrent weights [4 * out, out].
        biases: [4 * out].
        hiddens: first states [out, batch].
        cells: first cells [out, batch], in the accumulation dtype.
        mask: bool[time, batch], the real steps; None: all.

    Returns:
        For each direction the outputs [out, time, batch] (beyond a length: the state that was held), the final
        hidden state and the final cell [out, batch].
    """
    return _forward(reverses, zs, weights, biases, hiddens, cells, mask, save=False)[0]


def _scales(features: int, dtype: Any) -> jax.Array:
    """What the pre-activations [4 * out, 1] are multiplied with before the one tanh."""
    return jnp.asarray(np.repeat([0.5, 0.5, 1.0, 0.5], features)[:, None], dtype)


def _fills(features: int, dtype: Any) -> jax.Array:
    """The pre-activations of a step that is padding: i and o shut, f open."""
    return jnp.asarray(np.repeat([-CLOSED, CLOSED, 0.0, -CLOSED], features)[:, None], dtype)


def _at(array: jax.Array, t: jax.Array, axis: int = 0) -> jax.Array:
    return lax.dynamic_index_in_dim(array, t, axis, keepdims=False)


def _put(array: jax.Array, value: jax.Array, t: jax.Array, axis: int = 0) -> jax.Array:
    return lax.dynamic_update_index_in_dim(array, value.astype(array.dtype), t, axis)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    return lax.dot_general(a, b, (((1,), (0,)), ((), ())), preferred_element_type=accumulation_dtype(a.dtype))


def _split(a: jax.Array) -> list[jax.Array]:
    return jnp.split(a, 4, axis=0)


def _forward(reverses, zs, weights, biases, hiddens, cells, mask, *, save: bool):
    time, batch = zs[0].shape[1:]

    def start(z, weight, hidden, cell):
        features, dtype = weight.shape[1], hidden.dtype
        outputs = jnp.zeros((features, time, batch), dtype)
        saved = (jnp.zeros((time, 4 * features, batch), dtype), jnp.zeros((time, *cell.shape), cell.dtype))
        return (hidden, cell, outputs, *(saved if save else ()))

    def one(t, real, z, weight, bias, carry):
        hidden, cell, outputs, *saved = carry
        features, wide = hidden.shape[0], cell.dtype
        gates = (_at(z, t, 1) + _product(weight, hidden) + bias[:, None].astype(wide)) * _scales(features, wide)
        if real is not None:
            gates = jnp.where(real, gates, _fills(features, wide))
        gates = jnp.tanh(gates)
        i, f, g, o = _split(gates)
        new_cell = (f * 0.5 + 0.5) * cell + (i * 0.5 + 0.5) * g
        new_hidden = ((o * 0.5 + 0.5) * jnp.tanh(new_cell)).astype(hidden.dtype)
        if real is not None:
            new_hidden = jnp.where(real, new_hidden, hidden)
        kept = (_put(saved[0], gates, t), _put(saved[1], cell, t)) if save else ()
        return new_hidden, new_cell, _put(outputs, new_hidden, t, 1), *kept

    def body(step, carries):
        new = []
        for reverse, z, weight, bias, carry in zip(reverses, zs, weights, biases, carries, strict=True):
            t = time - 1 - step if reverse else step
            real = None if mask is None else _at(mask, t)
            new.append(one(t, real, z, weight, bias, carry))
        return tuple(new)

    first = tuple(start(*args) for args in zip(zs, weights, hiddens, cells, strict=True))
    ends = lax.fori_loop(0, time, body, first)
    outputs = tuple(end[2] for end in ends)
    result = (outputs, tuple(end[0] for end in ends), tuple(end[1] for end in ends))
    return result, tuple(end[3:] for end in ends)


def _forward_rule(reverses, zs, weights, biases, hiddens, cells, mask):
    result, saved = _forward(reverses, zs, weights, biases, hiddens, cells, mask, save=True)
    return result, (weights, biases, hiddens, mask, result[0], result[2], saved)


def _backward_rule(reverses, residuals, gradients):
    weights, biases, hiddens, mask, outputs, last_cells, saved = residuals
    time, batch = outputs[0].shape[1:]
    transposed = tuple(lax.optimization_barrier(weight.T) for weight in weights)

    def one(t, real, weight, gates_all, cells_all, dys, carry):
        dhidden, dcell, after, dzs = carry
        wide = dcell.dtype
        before = _at(cells_all, t)
        i, f, g, o = _split(_at(gates_all, t).astype(wide))
        dh, held = dhidden + _at(dys, t, 1).astype(wide), None
        if real is not None:
            dh, held = jnp.where(real, dh, 0), jnp.where(real, 0, dh)
        tanh_cell = jnp.tanh(after)
        dc = dcell + dh * (o * 0.5 + 0.5) * (1 - tanh_cell * tanh_cell)
        dgates = jnp.concatenate(
            [
                dc * g * (1 - i * i) * 0.25,
                dc * before * (1 - f * f) * 0.25,
                dc * (i * 0.5 + 0.5) * (1 - g * g),
                dh * tanh_cell * (1 - o * o) * 0.25,
            ]
        ).astype(dzs.dtype)
        dhidden = _product(weight, dgates)
        if held is not None:
            dhidden = dhidden + held
        return dhidden, dc * (f * 0.5 + 0.5), before, _put(dzs, dgates, t, 1)

    def body(step, carries):
        new = []
        for number, carry in enumerate(carries):
            t = step if reverses[number] else time - 1 - step
            real = None if mask is None else _at(mask, t)
            new.append(one(t, real, transposed[number], *saved[number], gradients[0][number], carry))
        return tuple(new)

    first = tuple(
        (dhidden.astype(dcell.dtype), dcell, cell, jnp.zeros((4 * cell.shape[0], time, batch), out.dtype))
        for dhidden, dcell, cell, out in zip(gradients[1], gradients[2], last_cells, outputs, strict=True)
    )
    ends = lax.fori_loop(0, time, body, first)
    dzs = tuple(end[3] for end in ends)
    dweights, dbiases = [], []
    for reverse, dz, out, hidden, weight, bias in zip(reverses, dzs, outputs, hiddens, weights, biases, strict=True):
        first_hidden = hidden[:, None, :]
        before = [out[:, 1:], first_hidden] if reverse else [first_hidden, out[:, :-1]]
        flat, previous = dz.reshape(dz.shape[0], -1), jnp.concatenate(before, axis=1).reshape(out.shape[0], -1)
        dweight = lax.dot_general(
            flat, previous, (((1,), (1,)), ((), ())), preferred_element_type=accumulation_dtype(flat.dtype)
        )
        dweights.append(dweight.astype(weight.dtype))
        dbiases.append(jnp.sum(flat, axis=1, dtype=accumulation_dtype(flat.dtype)).astype(bias.dtype))
    dhiddens = tuple(end[0].astype(hidden.dtype) for end, hidden in zip(ends, hiddens, strict=True))
    dcells = tuple(end[1] for end in ends)
    wide = tuple(dz.astype(accumulation_dtype(dz.dtype)) for dz in dzs)
    dmask = None if mask is None else np.zeros(mask.shape, jax.dtypes.float0)
    return wide, tuple(dweights), tuple(dbiases), dhiddens, dcells, dmask


lstm_columns.defvjp(_forward_rule, _backward_rule)
