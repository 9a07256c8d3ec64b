# SPDX-License-Identifier: BSD-2-Clause
"""cuDNN's LSTM (``jax.experimental.rnn``) in the place of our kernel, on NVIDIA GPUs.

It is taken where it computes the same: float32, no TensorFloat-32 products unless ``jax_default_matmul_precision``
asks for them, one direction or both of one size. Its own gradient is used; the derivatives of that gradient, for which
cuDNN has nothing, are those of JAX's reference of the same equations.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap
from jax.experimental import rnn

from spago_jax.core.target import target_platform
from spago_jax.core.tree import PyTree
from spago_jax.ops.recurrent_kernel import Arrays

use_cudnn = jax.make_user_context(True)
"""The switch: ``with use_cudnn(False): ...`` keeps to our own kernel. Programs are traced again where it changes."""


def cudnn_fits(reverses: Sequence[bool], xs: jax.Array, parameters: PyTree, states: PyTree) -> bool:
    """Whether cuDNN's LSTM takes these arrays here: an NVIDIA GPU is the default, all is float32, the sizes fit.

    Args:
        reverses: for each direction, whether it reads from the last step: one, or forwards and backwards.
        xs: [time, batch, in].
        parameters: the weights and biases of all directions.
        states: their first hidden states and cells.

    >>> cudnn_fits([False], jnp.ones((3, 2, 1), jnp.bfloat16), [], [])
    False
    """
    arrays = jax.tree.leaves((xs, parameters, states))
    sizes = {leaf.shape for leaf in jax.tree.leaves(states)}
    return (
        use_cudnn.value
        and target_platform() == "gpu"
        and hasattr(getattr(rnn, "gpu_rnn", None), "compute_rnn_workspace_reserve_space_sizes")
        and all(leaf.dtype == jnp.float32 for leaf in arrays)
        and all(isinstance(size, int) and size > 0 for size in xs.shape)
        and len(sizes) == 1
        and tuple(reverses) in ((False,), (True,), (False, True))
    )


def lstm_by_cudnn(
    reverses: tuple[bool, ...],
    xs: jax.Array,
    input_weights: Arrays,
    weights: Arrays,
    biases: Arrays,
    hiddens: Arrays,
    cells: Arrays,
    lengths: jax.Array | None,
) -> tuple[Arrays, Arrays, Arrays]:
    """One LSTM, or one forwards and one backwards, by cuDNN.

    Args:
        reverses: ``(False,)``, ``(True,)`` or ``(False, True)``.
        xs: inputs [time, batch, in].
        input_weights: [4 * out, in], gates i, f, g, o, which is cuDNN's order too.
        weights: recurrent weights [4 * out, out].
        biases: [4 * out]; cuDNN's second bias is zero.
        hiddens: first states [batch, out].
        cells: first cells [batch, out].
        lengths: int[batch]; None: all steps are real.

    Returns:
        For each direction the outputs [time, batch, out], zero beyond the lengths, the final hidden state and the
        final cell [batch, out].
    """
    time, batch, features = xs.shape
    both = len(reverses) == 2
    out = weights[0].shape[1]
    steps = jnp.full((batch,), time, jnp.int32) if lengths is None else lengths.astype(jnp.int32)
    # A sequence of no steps is run for one, and what that gives is put aside below.
    used = steps if lengths is None else jnp.maximum(steps, 1)
    alone = reverses == (True,)
    options = (features, out, 1, 0.0, both, _precision())
    results: Any = _lstm(
        options,
        _turned(xs, used if alone else None).swapaxes(0, 1),
        jnp.stack(hiddens),
        jnp.stack(cells),
        packed(input_weights, weights, biases),
        used,
    )
    y, hidden, cell = results
    y = _turned(y.swapaxes(0, 1), used if alone else None)
    if lengths is not None:
        real = jnp.arange(time)[:, None, None] < steps[:, None]
        y = jnp.where(real, y, jnp.zeros((), y.dtype))
        some = steps[:, None] > 0
        hidden, cell = (jnp.where(some, end, jnp.stack(first)) for end, first in ((hidden, hiddens), (cell, cells)))
    return tuple(jnp.split(y, len(reverses), axis=-1)), tuple(hidden), tuple(cell)


def packed(input_weights: Arrays, weights: Arrays, biases: Arrays) -> jax.Array:
    """All parameters of a layer in cuDNN's order: for each direction both weights, then for each both biases.

    >>> packed((jnp.full((4, 1), 1.0),), (jnp.full((4, 1), 2.0),), (jnp.full(4, 3.0),)).astype(int).tolist()
    [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0]
    """
    pieces = [part.ravel() for pair in zip(input_weights, weights, strict=True) for part in pair]
    pieces += [part for bias in biases for part in (bias, jnp.zeros_like(bias))]
    return jnp.concatenate(pieces)


def _turned(steps: jax.Array, lengths: jax.Array | None) -> jax.Array:
    """[time, batch, k] with the real steps of each sequence from the last to the first; None: as it is."""
    if lengths is None:
        return steps
    places = jnp.arange(steps.shape[0])[:, None]
    return jnp.take_along_axis(steps, jnp.where(places < lengths, lengths - 1 - places, places)[..., None], axis=0)


def _precision() -> lax.Precision:
    asked = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return lax.Precision.HIGH if asked in ("high", "tensorfloat32") else lax.Precision.HIGHEST


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _lstm(options, x, hidden, cell, weights, lengths):
    return _run(options, x, hidden, cell, weights, lengths)[:3]


def _lstm_forward(options, *arguments):
    *result, reserve = _run(options, *arguments)
    return tuple(result), (*arguments, result[0], reserve)


def _lstm_backward(options, residuals, gradients):
    return (*_gradient(options, *residuals, *gradients), None)


_lstm.defvjp(_lstm_forward, _lstm_backward)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _run(options, x, hidden, cell, weights, lengths):
    """y, the final states, and what the gradient needs beside them. cuDNN knows one batch: vmap is a loop."""

    def one(*arguments):
        (y, last, last_cell), residuals = rnn.lstm_fwd(*arguments, *options)
        return y, last, last_cell, residuals[-1]

    return sequential_vmap(one)(x, hidden, cell, weights, lengths)


@_run.defjvp
def _run_jvp(options, primals, tangents):
    *floats, lengths = primals
    result = _run(options, *primals)
    tangent = jax.jvp(lambda *floats: _reference(options, lengths, *floats), tuple(floats), tuple(tangents[:4]))[1]
    return result, (*tangent, jnp.zeros_like(result[3]))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _gradient(options, x, hidden, cell, weights, lengths, y, reserve, dy, dhidden, dcell):
    """The gradients of x, the first states and the weights."""

    def one(*arguments):
        return rnn.lstm_bwd(*options, residuals=arguments[:7], gradients=arguments[7:])[:4]

    return sequential_vmap(one)(x, hidden, cell, weights, lengths, y, reserve, dy, dhidden, dcell)


@_gradient.defjvp
def _gradient_jvp(options, primals, tangents):
    lengths = primals[4]

    def plain(*arguments):
        return jax.vjp(lambda *floats: _reference(options, lengths, *floats), *arguments[:4])[1](arguments[4:])

    # y and the reserve are functions of the other arguments, which carry the whole derivative.
    places = (0, 1, 2, 3, 7, 8, 9)
    tangent = jax.jvp(plain, tuple(primals[i] for i in places), tuple(tangents[i] for i in places))[1]
    return _gradient(options, *primals), tangent


def _reference(options, lengths, x, hidden, cell, weights):
    features, out, layers, _, both, _ = options
    parts = rnn.unpack_lstm_weights(weights, features, out, layers, both)
    return rnn.lstm_ref(x, hidden, cell, *parts, lengths, *options[:5])
