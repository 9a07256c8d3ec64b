# SPDX-License-Identifier: BSD-2-Clause
"""Activations by name. Most are ``jax.nn``'s; ``gelu`` is the exact one, as in PyTorch and Hugging Face."""

import inspect
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError, did_you_mean
from spago_jax.ops.linear import accumulation_dtype
from spago_jax.ops.sparsemax import sparsemax

Activation = Callable[..., jax.Array]


def gelu(x: jax.Array) -> jax.Array:
    """The exact GELU, ``x Phi(x) = x (1 + erf(x / sqrt 2)) / 2`` (Hendrycks and Gimpel, 2016), as PyTorch computes it.

    It is computed in the accumulation dtype, and with ``erf``: ``jax.nn.gelu`` takes twice as long on a CPU with
    ``erfc``, and in 16 bits rounds after each of its operations. ``gelu_tanh`` is its approximation.

    >>> gelu(jnp.array([-1.0, 0.0, 2.0]))
    Array([-0.15865526,  0.        ,  1.9544997 ], dtype=float32)
    """
    wide = x.astype(accumulation_dtype(x.dtype))
    return (0.5 * wide * (1.0 + jax.lax.erf(wide * math.sqrt(0.5)))).astype(x.dtype)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """GELU's approximation by tanh (``gelu_new`` in Hugging Face, ``GELU`` in spaGO)."""
    return jax.nn.gelu(x, approximate=True)


def gelu_10(x: jax.Array) -> jax.Array:
    """The exact GELU clipped to [-10, 10], for integer arithmetic (Wu et al., 2020).

    >>> gelu_10(jnp.array([0.0, 20.0]))
    Array([ 0., 10.], dtype=float32)
    """
    return jnp.clip(gelu(x), -10.0, 10.0)


def quick_gelu(x: jax.Array) -> jax.Array:
    """``x sigmoid(1.702 x)``, the first approximation of Hendrycks and Gimpel (2016).

    >>> quick_gelu(jnp.array([0.0, 100.0]))
    Array([  0., 100.], dtype=float32)
    """
    return x * jax.nn.sigmoid(1.702 * x)


def relu_squared(x: jax.Array) -> jax.Array:
    """``relu(x)`` squared (So et al., 2021).

    >>> relu_squared(jnp.array([-2.0, 3.0]))
    Array([0., 9.], dtype=float32)
    """
    return jnp.square(jax.nn.relu(x))


def identity(x: jax.Array) -> jax.Array:
    """``x`` itself."""
    return x


def fast_sigmoid(x: jax.Array) -> jax.Array:
    """The logistic function as ``tanh(x / 2) / 2 + 1 / 2``: exact, and XLA's CPU backend vectorises tanh only.

    >>> fast_sigmoid(jnp.array([0.0, 100.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    return jnp.tanh(x * 0.5) * 0.5 + 0.5


def hard_sigmoid_keras(x: jax.Array) -> jax.Array:
    """``clip(0.2 x + 0.5, 0, 1)``: spaGO's HardSigmoid and the first Keras's; ``hard_sigmoid`` rises by 1/6 (PyTorch).

    >>> hard_sigmoid_keras(jnp.array([-3.0, 1.0]))
    Array([0. , 0.7], dtype=float32)
    """
    return jnp.clip(x * 0.2 + 0.5, 0.0, 1.0)


def elu(x: jax.Array, alpha: float = 1.0) -> jax.Array:
    """``x`` where positive, else ``alpha (e^x - 1)`` (Clevert et al., 2015)."""
    return jax.nn.elu(x, alpha)


def celu(x: jax.Array, alpha: float = 1.0) -> jax.Array:
    """``x`` where positive, else ``alpha (e^(x / alpha) - 1)`` (Barron, 2017)."""
    return jax.nn.celu(x, alpha)


def selu(x: jax.Array, alpha: float = 1.6732632423543772, scale: float = 1.0507009873554805) -> jax.Array:
    """``scale`` times ``elu(x, alpha)``; spaGO has no defaults, these are of Klambauer et al. (2017)."""
    return scale * jax.nn.elu(x, alpha)


def positive_elu(x: jax.Array) -> jax.Array:
    """``elu(x) + 1``, which is ``e^x`` below zero: positive everywhere, the feature map of linear attention.

    >>> positive_elu(jnp.array([0.0, 2.0]))
    Array([1., 3.], dtype=float32)
    """
    is_positive = x > 0
    return jnp.where(is_positive, x + 1, jnp.exp(jnp.where(is_positive, jnp.zeros((), x.dtype), x)))


def swish_b(x: jax.Array, beta: jax.Array | float = 1.0) -> jax.Array:
    """``x sigmoid(beta x)`` (Ramachandran et al., 2017); ``beta`` may be a trained array. ``silu`` has beta 1."""
    return x * jax.nn.sigmoid(beta * x)


def leaky_relu(x: jax.Array, negative_slope: float = 0.01) -> jax.Array:
    """``x`` where positive, else ``negative_slope x``."""
    return jax.nn.leaky_relu(x, negative_slope)


def softplus(x: jax.Array, beta: float = 1.0, threshold: float = math.inf) -> jax.Array:
    """``log(1 + e^(beta x)) / beta``, and ``x`` itself above the threshold (PyTorch compares ``beta x`` with it).

    >>> softplus(jnp.array([0.0, 3.0]), threshold=2.0).round(4)
    Array([0.6931, 3.    ], dtype=float32)
    """
    smooth = jax.nn.softplus(x * beta) / beta
    return smooth if threshold == math.inf else jnp.where(x > threshold, x, smooth)


def soft_shrink(x: jax.Array, lambd: float = 0.5) -> jax.Array:
    """Soft thresholding: ``x`` moved by ``lambd`` towards zero, and zero where it is nearer than that.

    >>> soft_shrink(jnp.array([-1.0, 0.25, 1.0]))
    Array([-0.5,  0. ,  0.5], dtype=float32)
    """
    zero = jnp.zeros((), x.dtype)
    return jnp.where(x > lambd, x - lambd, jnp.where(x < -lambd, x + lambd, zero))


def threshold(x: jax.Array, threshold: float = 0.0, value: float = 0.0) -> jax.Array:
    """``x`` where it is more than the threshold, else ``value``.

    >>> threshold(jnp.array([0.5, 2.0]), 1.0, -1.0)
    Array([-1.,  2.], dtype=float32)
    """
    return jnp.where(x > threshold, x, jnp.asarray(value, x.dtype))


def softmax(x: jax.Array) -> jax.Array:
    """Over the last axis."""
    return jax.nn.softmax(x, axis=-1)


def log_softmax(x: jax.Array) -> jax.Array:
    """Over the last axis, by log-sum-exp; spaGO takes the logarithm of a softmax, which underflows."""
    return jax.nn.log_softmax(x, axis=-1)


ACTIVATIONS: dict[str, Activation] = {
    "identity": identity,
    "relu": jax.nn.relu,
    "tan": jnp.tan,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "swish_b": swish_b,
    "elu": elu,
    "positive_elu": positive_elu,
    "selu": selu,
    "celu": celu,
    "leaky_relu": leaky_relu,
    "softplus": softplus,
    "soft_shrink": soft_shrink,
    "softsign": jax.nn.soft_sign,
    "mish": jax.nn.mish,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_sigmoid_keras": hard_sigmoid_keras,
    "threshold": threshold,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "sparsemax": sparsemax,
}
_SPELLINGS = {name.replace("_", ""): name for name in ACTIVATIONS}
_OURS = {function for function in ACTIVATIONS.values() if function.__module__ == __name__}
OPTIONS: dict[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)[1:] if function in _OURS else ()
    for name, function in ACTIVATIONS.items()
}
"""What can be set of an activation, in order: ``OPTIONS["selu"]`` is ``("alpha", "scale")``."""


def parse_activation(name: str) -> str:
    """A known activation's name, or an error that names the nearest. ``LeakyReLU`` is read as ``leaky_relu``.

    Raises:
        InputError: for an unknown name.

    >>> parse_activation("PositiveELU")
    'positive_elu'
    """
    found = name if name in ACTIVATIONS else _SPELLINGS.get(str(name).replace("_", "").lower())
    if found is None:
        raise InputError(f"unknown activation {name!r}, {did_you_mean(str(name), ACTIVATIONS)}")
    return found


def activation(name: str) -> Activation:
    """The activation of that name.

    Raises:
        InputError: for an unknown name.

    >>> activation("relu")(jnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    return ACTIVATIONS[parse_activation(name)]
