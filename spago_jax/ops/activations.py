# SPDX-License-Identifier: BSD-2-Clause
"""Activations by name. The functions are ``jax.nn``'s; ``gelu`` is the exact one, as in PyTorch and Hugging Face."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError, did_you_mean


def gelu(x: jax.Array) -> jax.Array:
    """The exact GELU, ``x * Phi(x)`` (Hendrycks and Gimpel, 2016); ``gelu_tanh`` is its approximation."""
    return jax.nn.gelu(x, approximate=False)


def gelu_tanh(x: jax.Array) -> jax.Array:
    """GELU's approximation by tanh (``gelu_new`` in Hugging Face)."""
    return jax.nn.gelu(x, approximate=True)


def identity(x: jax.Array) -> jax.Array:
    """``x`` itself."""
    return x


def fast_sigmoid(x: jax.Array) -> jax.Array:
    """The logistic function as ``tanh(x / 2) / 2 + 1 / 2``: exact, and XLA's CPU backend vectorises tanh only.

    >>> fast_sigmoid(jnp.array([0.0, 100.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    return jnp.tanh(x * 0.5) * 0.5 + 0.5


ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "identity": identity,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "celu": jax.nn.celu,
    "leaky_relu": jax.nn.leaky_relu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "mish": jax.nn.mish,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}


def parse_activation(name: str) -> str:
    """A known activation's name, or an error that names the nearest.

    Raises:
        InputError: for an unknown name.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"unknown activation {name!r}, {did_you_mean(name, ACTIVATIONS)}")
    return name


def activation(name: str) -> Callable[[jax.Array], jax.Array]:
    """The activation of that name.

    Raises:
        InputError: for an unknown name.

    >>> activation("relu")(jnp.array([-1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    return ACTIVATIONS[parse_activation(name)]
