# SPDX-License-Identifier: BSD-2-Clause
"""The GRU kernel: both forms, any number of directions in one loop, features first, with a hand-made gradient.

Why it looks as it does: see ``recurrent_kernel``. Padding gives the old state all the weight. The two forms differ in
the candidate c and in which of c and the old state the second gate weighs (``ops/gru`` has the equations).
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
def gru_columns(
    reverses: tuple[bool, ...],
    xs: jax.Array,
    input_weights: Arrays,
    weights: Arrays,
    biases: Arrays,
    inner_biases: Arrays | None,
    hiddens: Arrays,
    mask: jax.Array | None,
) -> tuple[Arrays, Arrays]:
    """Runs one or more GRUs, each from its own end, in one loop.

    Args:
        reverses: for each direction, whether it reads from the last step.
        xs: inputs [time, batch, in], zeros where there is none.
        input_weights: [3 * out, in], blocks reset, update, candidate.
        weights: recurrent weights [3 * out, out].
        biases: [3 * out].
        inner_biases: [out], inside the reset of the candidate: the ``reset_after`` form; None: spaGO's form.
        hiddens: first states [out, batch], in the dtype of the weights.
        mask: bool[time, batch], the real steps; None: all.

    Returns:
        For each direction the outputs [time, out, batch] (beyond a length: the state that was held) and the final
        state [out, batch].
    """
    return _forward(reverses, xs, input_weights, weights, biases, inner_biases, hiddens, mask, save=False)[0]


def _held(features: int, after: bool, dtype: DTypeLike) -> jax.Array:
    """The pre-activations [2 * out, 1] of a step that is padding: the second gate gives all weight to the old state."""
    return jnp.asarray(np.repeat([0.0, CLOSED if after else -CLOSED], features)[:, None], dtype)


def _forward(reverses, xs, input_weights, weights, biases, inner_biases, hiddens, mask, *, save: bool):
    time, batch, _ = xs.shape
    after = inner_biases is not None

    def start(hidden):
        features, wide = hidden.shape[0], accumulation_dtype(hidden.dtype)
        # What the gradient needs of a step: the gates' tanh, c, and for reset_after what r multiplies.
        shapes = (2 * features, features, features) if after else (2 * features, features)
        saved = tuple(empty((time, rows, batch), wide) for rows in shapes)
        return (hidden, empty((time, features, batch), hidden.dtype), *(saved if save else ()))

    def one(number, t, real, carry):
        hidden, outputs, *saved = carry
        features, wide = hidden.shape[0], accumulation_dtype(hidden.dtype)
        double, weight = 2 * features, weights[number]
        z = product(input_weights[number], at(xs, t), 1) + biases[number][:, None].astype(wide)
        recurred = product(weight if after else weight[:double], hidden)
        gates = (recurred[:double] + z[:double]) * 0.5
        if real is not None:
            gates = jnp.where(real, gates, _held(features, after, wide))
        gates = jnp.tanh(gates)
        r, old = gates[:features] * 0.5 + 0.5, hidden.astype(wide)
        if inner_biases is None:
            c = jnp.tanh(z[double:] + product(weight[double:], (r * old).astype(hidden.dtype)))
            values = [gates, c]
        else:
            inner = recurred[double:] + inner_biases[number][:, None].astype(wide)
            c = jnp.tanh(z[double:] + r * inner)
            values = [gates, c, inner]
        new, kept = _share(gates[features:], after)
        new_hidden = (new * c + kept * old).astype(hidden.dtype)
        saved = [put(buffer, value, t) for buffer, value in zip(saved, values, strict=True)] if save else ()
        return new_hidden, put(outputs, new_hidden, t), *saved

    ends = loop(time, reverses, mask, one, [start(hidden) for hidden in hiddens])
    outputs = tuple(filled(end[1], end[0].dtype) for end in ends)
    return (outputs, tuple(end[0] for end in ends)), tuple(end[2:] for end in ends)


def _share(gate: jax.Array, after: bool) -> tuple[jax.Array, jax.Array]:
    """What the candidate and what the old state weigh, from the tanh of the second gate."""
    high, low = 0.5 + 0.5 * gate, 0.5 - 0.5 * gate
    return (low, high) if after else (high, low)


def _forward_rule(reverses, xs, input_weights, weights, biases, inner_biases, hiddens, mask):
    result, saved = _forward(reverses, xs, input_weights, weights, biases, inner_biases, hiddens, mask, save=True)
    return result, (xs, input_weights, weights, biases, inner_biases, hiddens, mask, result[0], saved)


def _backward_rule(reverses, residuals, gradients):
    xs, input_weights, weights, biases, inner_biases, hiddens, mask, outputs, saved = residuals
    time, batch, features = xs.shape
    after = inner_biases is not None
    starts = [states_before(*args) for args in zip(outputs, hiddens, reverses, strict=True)]
    sizes = [hidden.shape[0] for hidden in hiddens]
    # The rows of dz: candidate, reset, update, and for reset_after the candidate's recurrent part.
    inputs_turned = [transposed(jnp.roll(w, size, axis=0)) for w, size in zip(input_weights, sizes, strict=True)]
    turned = [transposed(weight) for weight in weights]

    def one(number, t, real, carry):
        dhidden, dzs, dxs = carry
        size, slot = sizes[number], t + int(reverses[number])
        narrow, wide = hiddens[number].dtype, dhidden.dtype
        gates, c = at(saved[number][0], t), at(saved[number][1], t)
        old = at(starts[number], slot).astype(wide)
        new, kept = _share(gates[size:], after)
        r = gates[:size] * 0.5 + 0.5
        dh = dhidden + at(gradients[0][number], t).astype(wide)
        dzc = dh * new * (1 - c * c)
        dsecond = dh * ((old - c) if after else (c - old)) * (1 - gates[size:] * gates[size:]) * 0.25
        slope = (1 - gates[:size] * gates[:size]) * 0.25
        if after:
            pieces = [dzc, dzc * at(saved[number][2], t) * slope, dsecond, dzc * r]
            recurrent, dold = turned[number], dh * kept
        else:
            dreset = product(turned[number][:, 2 * size :], dzc.astype(narrow))
            pieces = [dzc, dreset * old * slope, dsecond]
            recurrent, dold = turned[number][:, : 2 * size], dh * kept + dreset * r
        # Fused into one loop, a concatenation asks at every number which piece it is in.
        dz = jnp.concatenate(lax.optimization_barrier([piece.astype(narrow) for piece in pieces]))
        dhidden = dold + product(recurrent, dz[size:])
        dxs = put(dxs, product(inputs_turned[number], dz[: 3 * size]), t)
        return dhidden, put(dzs, dz, slot, 1), dxs

    # One slot more than there are steps: see the LSTM's kernel.
    first = [
        (
            dhidden.astype(accumulation_dtype(out.dtype)),
            empty(((4 if after else 3) * size, time + 1, batch), out.dtype),
            empty((time, features, batch), accumulation_dtype(out.dtype)),
        )
        for dhidden, out, size in zip(gradients[1], outputs, sizes, strict=True)
    ]
    ends = loop(time, [not reverse for reverse in reverses], mask, one, first)
    dinputs, dweights, dbiases, dinners = [], [], [], []
    for number, (end, before, size) in enumerate(zip(ends, starts, sizes, strict=True)):
        dz = filled(end[1], before.dtype).reshape(end[1].shape[0], -1)
        sums = jnp.sum(dz, axis=1, dtype=accumulation_dtype(dz.dtype))
        dinput = input_gradient(dz[: 3 * size], xs, reverses[number])
        columns = flat_columns(before)
        if after:
            dweight = product(dz[size:], columns, 1)
            dinners.append(sums[3 * size :].astype(inner_biases[number].dtype))
        else:
            reset = _reset_states(saved[number][0][:, :size], before, reverses[number])
            dweight = [product(dz[size:], columns, 1), product(dz[:size], flat_columns(reset), 1)]
            dweight = jnp.concatenate(dweight)
        dinputs.append(jnp.roll(dinput, -size, axis=0).astype(input_weights[number].dtype))
        dweights.append(dweight.astype(weights[number].dtype))
        dbiases.append(jnp.roll(sums[: 3 * size], -size).astype(biases[number].dtype))
    dxs = functools.reduce(jnp.add, [end[2] for end in ends]).swapaxes(1, 2).astype(xs.dtype)
    dhiddens = tuple(end[0].astype(hidden.dtype) for end, hidden in zip(ends, hiddens, strict=True))
    dinners = tuple(dinners) if after else None
    return dxs, tuple(dinputs), tuple(dweights), tuple(dbiases), dinners, dhiddens, None


def _reset_states(resets: jax.Array, before: jax.Array, reverse: bool) -> jax.Array:
    """``r * h`` at the slots of the steps, rounded as the forward pass did: [time + 1, out, batch]."""
    spare = ((1, 0) if reverse else (0, 1), (0, 0), (0, 0))
    r = jnp.pad(resets * 0.5 + 0.5, spare)
    return (r * before.astype(r.dtype)).astype(before.dtype)


gru_columns.defvjp(_forward_rule, _backward_rule)
