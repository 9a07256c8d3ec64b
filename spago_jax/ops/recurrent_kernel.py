# SPDX-License-Identifier: BSD-2-Clause
"""What the LSTM's and the GRU's kernels have in common: the loop, its buffers, its products, the weights' gradients.

Why the kernels look as they do (numbers in docs/benchmarks.md):

* Features first, batch last: ``weight @ h`` with h [out, batch] lets XLA's CPU product keep the weight as it lies
  in memory, where ``h @ weight.T`` repacks it at every step.
* One tanh over all sigmoid gates, ``sigmoid(x) = tanh(x / 2) / 2 + 1 / 2``: XLA's tanh vectorises, its logistic not.
* The gradient saves the gates' activations, and its loop makes the gates' gradients alone; the gradients of both
  weights are one large product each, outside of the loop.
* Padding shuts and opens gates so that the state holds and all gradients of the gates are zero.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from spago_jax.ops.linear import accumulation_dtype

CLOSED = 1e9
"""A pre-activation that shuts a gate (negative) or opens it (positive) for good, in every dtype."""

Arrays = tuple[jax.Array, ...]


def loop(
    time: int,
    reverses: Sequence[bool],
    mask: jax.Array | None,
    one: Callable[[int, jax.Array, jax.Array | None, Any], Any],
    carries: Sequence[Any],
) -> tuple[Any, ...]:
    """``carry = one(number, t, real, carry)`` for each direction and step, all directions in one loop.

    Args:
        time: how many steps.
        reverses: for each direction, whether t runs from the last step to the first.
        mask: bool[time, batch], of which ``real`` is row t; None: ``real`` is None.
        one: a step of a direction.
        carries: for each direction, what ``one`` is given first.

    >>> ends = loop(3, (False, True), None, lambda number, t, real, last: last * 10 + t, (0, 0))
    >>> tuple(map(int, ends))
    (12, 210)
    """

    def body(step: jax.Array, carries: tuple[Any, ...]) -> tuple[Any, ...]:
        new = []
        for number, carry in enumerate(carries):
            t = time - 1 - step if reverses[number] else step
            new.append(one(number, t, None if mask is None else at(mask, t), carry))
        return tuple(new)

    return lax.fori_loop(0, time, body, tuple(carries))


def at(array: jax.Array, t: jax.Array) -> jax.Array:
    """``array[t]``, known to be inside."""
    return lax.dynamic_index_in_dim(array, t, 0, keepdims=False)


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    """A buffer that a loop fills with :func:`put`; :func:`filled` gives it back.

    16-bit floats go in as integers: XLA's CPU backend has no update in place for them, and would widen and narrow the
    whole buffer at every step.
    """
    return jnp.zeros(shape, jnp.uint16 if jnp.dtype(dtype).itemsize == 2 else dtype)


def put(buffer: jax.Array, value: jax.Array, t: jax.Array, axis: int = 0) -> jax.Array:
    """The buffer with the value at place t of the axis."""
    if buffer.dtype == jnp.uint16:
        value = lax.bitcast_convert_type(value, jnp.uint16)
    return lax.dynamic_update_index_in_dim(buffer, value, t, axis)


def filled(buffer: jax.Array, dtype: DTypeLike) -> jax.Array:
    """The buffer in the dtype that :func:`empty` was asked for.

    >>> buffer = put(empty((2,), jnp.bfloat16), jnp.array(0.5, jnp.bfloat16), jnp.array(1))
    >>> filled(buffer, jnp.bfloat16)
    Array([0, 0.5], dtype=bfloat16)
    """
    return lax.bitcast_convert_type(buffer, dtype) if buffer.dtype == jnp.uint16 else buffer


def product(a: jax.Array, b: jax.Array, axis: int = 0) -> jax.Array:
    """``a @ b`` or, with axis 1, ``a @ b.T``, in the accumulation dtype.

    The left side is contracted along its last axis: XLA's CPU backend has no fast path for the other case (1.5 times
    slower in float32, 7 times in bfloat16).

    >>> product(jnp.ones((1, 2)), jnp.array([[1.0, 2.0], [3.0, 4.0]]), 1)
    Array([[3., 7.]], dtype=float32)
    """
    return lax.dot_general(a, b, (((1,), (axis,)), ((), ())), preferred_element_type=accumulation_dtype(a.dtype))


def transposed(a: jax.Array) -> jax.Array:
    """``a.T`` as a copy. Left alone, XLA folds it into the product and falls off the fast path."""
    return lax.optimization_barrier(a.T)


def states_before(outputs: jax.Array, hidden: jax.Array, reverse: bool) -> jax.Array:
    """The states that the steps started from, at their slots: [time + 1, out, batch].

    Step t has slot t, or t + 1 in reverse, so that the outputs need no shift; the slot that is left belongs to no step.

    Args:
        outputs: [time, out, batch].
        hidden: the first state [out, batch].
        reverse: whether the last step was read first.
    """
    return jnp.concatenate([outputs, hidden[None]] if reverse else [hidden[None], outputs], axis=0)


def flat_columns(states: jax.Array) -> jax.Array:
    """[slots, out, batch] -> [out, slots * batch], as a copy."""
    return lax.optimization_barrier(states.swapaxes(0, 1)).reshape(states.shape[1], -1)


def input_gradient(dz: jax.Array, xs: jax.Array, reverse: bool) -> jax.Array:
    """The gradient of an input weight: one product over all slots and examples, in the accumulation dtype.

    Args:
        dz: gradients of the pre-activations [rows, (time + 1) * batch], zero at the slot of no step.
        xs: [time, batch, in].
        reverse: as for :func:`states_before`.
    """
    nothing = jnp.zeros_like(xs[:1])
    padded = jnp.concatenate([nothing, xs] if reverse else [xs, nothing], axis=0)
    return product(dz, padded.reshape(-1, xs.shape[-1]))
