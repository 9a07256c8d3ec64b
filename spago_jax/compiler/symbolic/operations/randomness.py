# SPDX-License-Identifier: BSD-2-Clause
"""Random nodes, which give other numbers at every run, and dropout."""

import itertools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import operation
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.compiler.symbolic.expressions import Expressions

_NUMBERS = itertools.count()  # every random node draws its own numbers: two alike are two


def _key(key: Any, number: int) -> Any:
    return jax.random.fold_in(jax.random.wrap_key_data(key), number)


@operation("_uniform", differentiable=False)
def _uniform(key: Any, *, low: float, high: float, shape: Any, number: int) -> Any:
    return jax.random.uniform(_key(key, number), shape, jnp.float32, low, high)


@operation("_gaussian", differentiable=False)
def _gaussian(key: Any, *, mean: float, deviation: float, shape: Any, number: int) -> Any:
    return mean + deviation * jax.random.normal(_key(key, number), shape)


@operation("_binomial", differentiable=False)
def _binomial(key: Any, *, trials: int, probability: float, shape: Any, number: int) -> Any:
    return jax.random.binomial(_key(key, number), trials, probability, shape)


def uniform(g: "Expressions", low: float, high: float, shape: tuple[int, ...]) -> Node:
    """Numbers from low to high, drawn anew at every run."""
    return g.apply("_uniform", g.key(), low=low, high=high, shape=shape, number=next(_NUMBERS))


def gaussian(g: "Expressions", mean: float, deviation: float, shape: tuple[int, ...]) -> Node:
    """Normal numbers, drawn anew at every run."""
    return g.apply("_gaussian", g.key(), mean=mean, deviation=deviation, shape=shape, number=next(_NUMBERS))


def binomial(g: "Expressions", trials: int, probability: float, shape: tuple[int, ...]) -> Node:
    """Numbers of successes, drawn anew at every run."""
    return g.apply("_binomial", g.key(), trials=trials, probability=probability, shape=shape, number=next(_NUMBERS))


@operation("dropout_by")
def dropout_by(x: Any, draws: Any, *, p: float) -> Any:
    """``x / (1 - p)`` where the draw, from 0 to 1, is below ``1 - p``; 0 elsewhere."""
    return jnp.where(draws < 1 - p, x / (1 - p), 0)


def dropout(x: Node, p: float) -> Node:
    """Zeros with probability p, the others divided by ``1 - p``; leave it out to evaluate.

    Raises:
        InputError: unless ``0 <= p < 1``.
    """
    if not 0 <= p < 1:
        raise InputError(f"dropout of {x.label}: p must be from 0 up to 1, not {p}")
    return x if p == 0 else dropout_by(x, uniform(x.owner, 0.0, 1.0, x.shape), p=p)
