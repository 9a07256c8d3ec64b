# SPDX-License-Identifier: BSD-2-Clause
"""From the ``optimizer:`` section to an optax chain over a model."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from spago_jax.core.paths import map_named, match_paths, roles
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.optim.accumulation import accumulated
from spago_jax.optim.config import GroupConfig, OptimizerConfig
from spago_jax.optim.controls import controlled, gated_paths, select
from spago_jax.optim.depths import layer_scales
from spago_jax.optim.methods import build_method
from spago_jax.optim.rates import scale_by_rates
from spago_jax.optim.schedules import build_schedule

__all__ = ["apply_updates", "build_optimizer", "trained_paths"]

Tree = TypeVar("Tree")


def _groups(config: OptimizerConfig, model: PyTree) -> dict[str, GroupConfig]:
    """The group of each path that has one: the first that covers it."""
    table: dict[str, GroupConfig] = {}
    for i, group in enumerate(config.groups):
        for path in match_paths(model, group.match, where=f"optimizer.groups[{i}].match"):
            table.setdefault(path, group)
    return table


Gates = Sequence[str | Iterable[str]]


def trained_paths(config: OptimizerConfig, model: PyTree, gates: Gates = ()) -> set[str]:
    """The paths of the arrays that will be trained: all trainable ones, less the groups with ``freeze: true``.

    Arrays behind a gate are among them, even if a group freezes them: the gate may open.

    ``partition(model, lambda m: trained_paths(config, m))`` cuts the model into what is differentiated and the
    rest, so that frozen arrays cost no gradient.

    Raises:
        InputError: A pattern of a group or a gate matches no array of the model.
    """
    groups = _groups(config, model)
    gated = set().union(*gated_paths(gates, model))
    return {
        path
        for path, role in roles(model).items()
        if path in gated or (role.trainable and not (path in groups and groups[path].freeze))
    }


def _add_decay(coefficients: Mapping[str, float]) -> optax.GradientTransformation:
    """u <- u + lambda w, with lambda by path."""

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[Any, Any]:
        def leaf(path: str, u: jax.Array, w: jax.Array) -> jax.Array:
            value = coefficients.get(path, 0.0)
            return u + value * w if value else u

        return _map_two(leaf, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _map_two(function: Callable[..., Any], tree: PyTree, other: PyTree) -> PyTree:
    from_path = iter(jax.tree.leaves(other))
    return map_named(lambda path, leaf: function(path, leaf, next(from_path)), tree)


def _only(paths: set[str], inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """Hands `inner` the arrays of these paths alone; all others get an update of zero and need no state.

    Trees are cut by setting leaves to None, not by masks: a Module is callable, so optax would call a mask tree.
    """

    def init(params: PyTree) -> PyTree:
        return inner.init(select(params, paths))

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **more: Any) -> tuple[Any, Any]:
        own = None if params is None else select(params, paths)
        inside, state = optax.with_extra_args_support(inner).update(select(updates, paths), state, own, **more)
        new = iter(jax.tree.leaves(inside))
        return map_named(lambda path, g: next(new) if path in paths else jnp.zeros_like(g), updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def build_optimizer(
    config: OptimizerConfig, model: PyTree, *, total_steps: int, steps_per_epoch: int, gates: Gates | None = None
) -> optax.GradientTransformation:
    """The optax chain of a config: clip, decay and method, accumulation, then the rates.

    Its `init` and `update` take the model itself, or a part of it with None in place of other arrays (what
    `value_and_grad` gives as gradients); `update` needs the parameters, and takes the `weight` of the batch, by which
    accumulation weighs it. Buffers, integer arrays and frozen groups get no moments, no part in the global norm, and
    an update of zero.

    >>> import jax, jax.numpy as jnp
    >>> import spago_jax.core as core
    >>> class Line(core.Module):
    ...     slope: core.Array
    ...     offset: core.Array = core.param(decay=False)
    >>> line = Line(jnp.array(2.0), jnp.array(1.0))
    >>> config = OptimizerConfig(name="sgd", learning_rate=0.1, weight_decay=0.5)
    >>> optimizer = build_optimizer(config, line, total_steps=10, steps_per_epoch=5)
    >>> updates, state = optimizer.update(jax.tree.map(jnp.ones_like, line), optimizer.init(line), line)
    >>> line = apply_updates(line, updates)
    >>> round(float(line.slope), 3), round(float(line.offset), 3)
    (1.8, 0.9)

    Args:
        config: The ``optimizer:`` section.
        model: The model, or its shapes (`jax.eval_shape`): for the paths and roles of its arrays.
        total_steps: How many batches the run takes in all (with ``accumulate: k``, one update is made each k; the
            last one, at the end, is of what is left).
        steps_per_epoch: How many batches one pass over the data takes.
        gates: Path patterns of arrays that stay frozen until `set_controls` opens their gate. With a list, an empty
            one too, `set_controls` can scale the learning rate.

    Raises:
        InputError: A group's or a gate's pattern matches nothing; a schedule, or an accumulation, that does not fit
            the number of steps.
    """
    groups = _groups(config, model)
    decay: dict[str, float] = {}
    scales: dict[str, float | np.ndarray] = {}
    if config.layer_decay is not None:
        scales |= layer_scales(model, config.layer_decay)
    for path, role in roles(model).items():
        group = groups.get(path)
        own = None if group is None else group.weight_decay
        decay[path] = (config.weight_decay if own is None else own) if role.decay else 0.0
        if group is not None and group.learning_rate is not None:
            scales[path] = scales.get(path, 1.0) * (group.learning_rate / config.learning_rate)
        elif group is not None and group.scale is not None:
            scales[path] = scales.get(path, 1.0) * group.scale
    k = config.accumulate
    if k > total_steps:
        raise InputError(
            f"optimizer.accumulate = {k}, but there are only {total_steps} steps in all: no update would be made; "
            f"expected {total_steps} or less"
        )
    schedule = build_schedule(
        config.schedule,
        total_steps=math.ceil(total_steps / k),
        steps_per_epoch=math.ceil(steps_per_epoch / k),
    )
    clips: list[optax.GradientTransformation] = []
    if config.clip_value is not None:
        clips.append(optax.clip(config.clip_value))
    if config.clip_norm is not None:
        clips.append(optax.clip_by_global_norm(config.clip_norm))
    rates = scale_by_rates(config.learning_rate, schedule, scales)
    if gates is None:
        chain = optax.chain(*clips, build_method(config, _add_decay(decay)), rates)
    else:
        method = functools.partial(build_method, config, _add_decay(decay))
        chain = controlled(optax.chain(optax.identity(), *clips), method, rates, gated_paths(gates, model))
    if k > 1:
        full, left = divmod(total_steps, k)

        def batches(updates: jax.Array) -> jax.Array:
            """The last update is the mean of the batches that are left."""
            return jnp.where(updates < full, k, left or k)

        chain = accumulated(chain, batches)
    return _only(trained_paths(config, model, gates or ()), chain)


def apply_updates(model: Tree, updates: PyTree) -> Tree:
    """The model after an update: w + u, in w's type; arrays without an update (None) stay as they are.

    `optax.apply_updates` fails on a model with buffers, whose updates are None.
    """
    table = dict(jax.tree_util.tree_flatten_with_path(updates)[0])
    return jax.tree_util.tree_map_with_path(
        lambda path, w: (w + table[path]).astype(w.dtype) if path in table else w, model
    )
