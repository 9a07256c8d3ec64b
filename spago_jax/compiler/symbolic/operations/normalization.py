# SPDX-License-Identifier: BSD-2-Clause
"""Batch and group normalisation of ``[batch, channels, ...]``."""

from typing import Any

import jax.numpy as jnp

from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import described, operation
from spago_jax.errors import InputError


def _check_channels(name: str, x: Node, *vectors: Node, **_: Any) -> None:
    if x.ndim < 2:
        raise InputError(f"{name}({described((x, *vectors))}): needs [batch, channels, ...]")
    for vector in vectors:
        if vector.shape != (x.shape[1],):
            raise InputError(
                f"{name}({described((x, *vectors))}): {vector.label} has shape {vector.shape}, expected ({x.shape[1]},)"
            )


def _along_channels(vector: Any, x: Any) -> Any:
    return jnp.reshape(vector, (1, -1, *[1] * (jnp.ndim(x) - 2)))


def _others(x: Any) -> tuple[int, ...]:
    return tuple(axis for axis in range(jnp.ndim(x)) if axis != 1)


@operation("batch_mean", _check_channels)
def batch_mean(x: Any) -> Any:
    """The mean of every channel."""
    return jnp.mean(x, _others(x))


@operation("batch_variance", _check_channels)
def batch_variance(x: Any) -> Any:
    """The variance of every channel, by n - 1: for running statistics."""
    return jnp.var(x, _others(x), ddof=1)


@operation("batch_norm", _check_channels)
def batch_norm(x: Any, scale: Any, bias: Any, *, epsilon: float = 1e-5) -> Any:
    """``(x - mean) / sqrt(variance + epsilon) * scale + bias`` by the statistics of the batch."""
    mean, variance = jnp.mean(x, _others(x), keepdims=True), jnp.var(x, _others(x), keepdims=True)
    unit = (x - mean) / jnp.sqrt(variance + epsilon)
    return unit * _along_channels(scale, x) + _along_channels(bias, x)


@operation("batch_norm_with", _check_channels)
def batch_norm_with(x: Any, scale: Any, bias: Any, mean: Any, variance: Any, *, epsilon: float = 1e-5) -> Any:
    """``batch_norm`` by given statistics: for evaluation."""
    unit = (x - _along_channels(mean, x)) / jnp.sqrt(_along_channels(variance, x) + epsilon)
    return unit * _along_channels(scale, x) + _along_channels(bias, x)


def _check_groups(name: str, x: Node, scale: Node, bias: Node, *, groups: int, epsilon: float = 1e-5) -> None:
    _check_channels(name, x, scale, bias)
    if groups < 1 or x.shape[1] % groups:
        raise InputError(f"{name}({described((x,))}): {x.shape[1]} channels do not split into {groups} groups")


@operation("group_norm", _check_groups)
def group_norm(x: Any, scale: Any, bias: Any, *, groups: int, epsilon: float = 1e-5) -> Any:
    """Normalised by the mean and variance of every group of channels of every example."""
    grouped = jnp.reshape(x, (x.shape[0], groups, -1))
    mean, variance = jnp.mean(grouped, -1, keepdims=True), jnp.var(grouped, -1, keepdims=True)
    unit = jnp.reshape((grouped - mean) / jnp.sqrt(variance + epsilon), jnp.shape(x))
    return unit * _along_channels(scale, x) + _along_channels(bias, x)
