# SPDX-License-Identifier: BSD-2-Clause
"""The last link of every chain: minus the learning rate, by schedule, by plateau and by group."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from spago_jax.core.paths import map_named
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.optim.config import OptimizerConfig, PlateauConfig
from spago_jax.optim.controls import controls
from spago_jax.optim.schedules import ScheduleFunction

__all__ = ["PlateauState", "RateState", "current_learning_rate", "plateau_update", "scale_by_rates"]


class PlateauState(NamedTuple):
    """What "reduce on plateau" remembers; scalars, saved with the rest of the optimizer's state."""

    scale: jax.Array
    best: jax.Array
    seen: jax.Array
    bad: jax.Array
    cooldown: jax.Array


class RateState(NamedTuple):
    """How many updates were made, the rate of the last one, and the state of the plateau rule."""

    step: jax.Array
    learning_rate: jax.Array
    plateau: PlateauState


def scale_by_rates(
    learning_rate: float, schedule: ScheduleFunction, scales: Mapping[str, float | np.ndarray]
) -> optax.GradientTransformation:
    """u <- - learning_rate * schedule(step) * plateau.scale * scales[path] * u.

    Args:
        learning_rate: The rate of all arrays.
        schedule: Its factor at each update.
        scales: Factors by path, numbers or arrays that broadcast against it; 1 for a path that is not in it.
    """

    def init(params: PyTree) -> RateState:
        del params
        dtype = jnp.result_type(float)
        # `seen` says whether there is a best score: a NaN in its place would make equal states unequal.
        plateau = PlateauState(jnp.ones((), dtype), jnp.zeros((), dtype), *(jnp.zeros((), jnp.int32) for _ in range(3)))
        return RateState(jnp.zeros((), jnp.int32), jnp.asarray(learning_rate * schedule(0), dtype), plateau)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[Any, RateState]:
        del params
        rate = learning_rate * schedule(state.step) * state.plateau.scale
        new = map_named(lambda path, u: (-rate * scales.get(path, 1.0)).astype(u.dtype) * u, updates)
        rate = rate.astype(state.learning_rate.dtype)
        return new, RateState(jnp.asarray(optax.safe_increment(state.step)), rate, state.plateau)

    return optax.GradientTransformation(init, update)


def _is_rate(node: object) -> bool:
    return isinstance(node, RateState)


def _map_rates(function: Callable[[RateState], Any], state: PyTree) -> PyTree:
    found = [leaf for leaf in jax.tree.leaves(state, is_leaf=_is_rate) if _is_rate(leaf)]
    if not found:
        raise InputError("this optimizer state has no RateState: it was not made by spago_jax.optim.build_optimizer")
    return jax.tree.map(lambda leaf: function(leaf) if _is_rate(leaf) else leaf, state, is_leaf=_is_rate)


def current_learning_rate(state: PyTree) -> jax.Array:
    """The learning rate of the last update (before the first one: of the first), without the groups' factors.

    Args:
        state: What the optimizer's `init` or `update` gave.

    Raises:
        InputError: The state is not of an optimizer made by `build_optimizer`.
    """
    rates: list[jax.Array] = []
    _map_rates(lambda rate: rates.append(rate.learning_rate), state)
    set_by_hand = controls(state)
    return rates[0] if set_by_hand is None else rates[0] * set_by_hand.scale


def plateau_update(
    config: OptimizerConfig | PlateauConfig | None, state: PyTree, score: jax.typing.ArrayLike
) -> PyTree:
    """The optimizer's state after one more evaluation: the rate falls where the score has stalled.

    A pure function, to be called once an evaluation, inside or outside of `jit`. With b the best score so far,
    a score s counts as better if s > b + threshold |b| (mode ``max``, or none) or s < b - threshold |b| (mode ``min``);
    the first score is the best so far. After more than `patience` scores that are not better, the factor of the
    rate is multiplied by `factor`, down to `final`. A score that is not a number counts as no better.

    PyTorch's ``ReduceLROnPlateau`` has the same rule, save that for negative scores its threshold points the
    wrong way (b (1 + threshold), not b + threshold |b|).

    Args:
        config: The optimizer's section, or its plateau section; without one the state is returned as it is.
        state: What the optimizer's `init` or `update` gave.
        score: The dev score, a scalar.
    """
    plateau = config.plateau if isinstance(config, OptimizerConfig) else config
    if plateau is None:
        return state
    sign = -1.0 if plateau.mode == "min" else 1.0

    def step(rate: RateState) -> RateState:
        old = rate.plateau
        value = jnp.asarray(score, old.best.dtype)
        better = sign * (value - old.best) > plateau.threshold * jnp.abs(old.best)
        better = jnp.where(old.seen > 0, better, ~jnp.isnan(value))
        bad = jnp.where(better, 0, old.bad + 1)
        cooling = old.cooldown > 0
        cooldown = jnp.where(cooling, old.cooldown - 1, 0)
        bad = jnp.where(cooling, 0, bad)
        reduce = bad > plateau.patience
        new = PlateauState(
            scale=jnp.where(reduce, jnp.maximum(old.scale * plateau.factor, plateau.final), old.scale),
            best=jnp.where(better, value, old.best),
            seen=jnp.where(better, 1, old.seen).astype(jnp.int32),
            bad=jnp.where(reduce, 0, bad).astype(jnp.int32),
            cooldown=jnp.where(reduce, plateau.cooldown, cooldown).astype(jnp.int32),
        )
        return rate._replace(plateau=new)

    return _map_rates(step, state)
