# SPDX-License-Identifier: BSD-2-Clause
"""Controls: a factor of the learning rate, and gates that keep arrays frozen until they open.

They are arrays in the optimizer's state, which a compiled step reads: changing them between two steps compiles nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from spago_jax.core.paths import map_named, match_paths, roles
from spago_jax.core.section import one_or_more
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError

__all__ = ["Controls", "controlled", "controls", "gated_paths", "select", "set_controls"]

State = TypeVar("State")


class Controls(NamedTuple):
    """``scale`` multiplies every update; ``open[i + 1]`` is 1 if the arrays of gate i are trained, 0 if not.

    ``open[0]`` is 1: Orbax saves no array without elements, and there may be none at all.
    """

    scale: jax.Array
    open: jax.Array


class ControlledState(NamedTuple):
    """The controls, and the states of the links: clipping, one method per group of arrays, the rates."""

    controls: Controls
    before: PyTree
    methods: tuple[Any, ...]
    after: PyTree


def gated_paths(gates: Sequence[str | Iterable[str]], model: PyTree) -> list[set[str]]:
    """The arrays of each gate.

    Raises:
        InputError: for a pattern that matches no array of the model, or none that could be trained.
    """
    trainable = {path for path, role in roles(model).items() if role.trainable}
    found = []
    for gate in one_or_more(gates):
        paths = match_paths(model, gate, where="unfreeze pattern")
        if not paths & trainable:
            raise InputError(f"unfreeze pattern {gate!r} matches only arrays that are not trained: {sorted(paths)}")
        found.append(paths & trainable)
    return found


def controlled(
    before: optax.GradientTransformation,
    method: Callable[[], optax.GradientTransformation],
    after: optax.GradientTransformation,
    gates: Sequence[set[str]],
) -> optax.GradientTransformation:
    """``before``, the method and ``after`` in a row, under controls.

    While a gate is closed its arrays have no part in ``before`` (the norm that is clipped), get an update of zero, and
    the method's memory of them stays as it was, its count of steps included: opened, they begin as if it were the
    first step. An array of several gates is trained once one of them is open. The result is times ``scale``.

    Args:
        before: clipping.
        method: makes the update rule, once for each group of arrays that open together.
        after: the rates.
        gates: the arrays of each gate, closed at first.
    """

    def groups(tree: PyTree) -> list[tuple[tuple[int, ...], set[str]]]:
        """The arrays by the gates that they are behind; the free ones first."""
        found: dict[tuple[int, ...], set[str]] = {(): set()}
        for path in _paths(tree):
            found.setdefault(tuple(i for i, gate in enumerate(gates) if path in gate), set()).add(path)
        return sorted(found.items())

    def init(params: PyTree) -> ControlledState:
        dtype = jnp.result_type(float)
        start = Controls(jnp.ones((), dtype), jnp.zeros(1 + len(gates), dtype).at[0].set(1))
        methods = tuple(method().init(select(params, paths)) for _, paths in groups(params))
        return ControlledState(start, before.init(params), methods, after.init(params))

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[Any, ControlledState]:
        scale, opened = state.controls
        parts = groups(updates)
        lets = {key: opened[1 + np.array(key)].max() > 0 for key, _ in parts if key}
        gate_of = {path: lets[key] for key, paths in parts if key for path in paths}

        def closed_to_zero(path: str, u: jax.Array) -> jax.Array:
            return jnp.where(gate_of[path], u, jnp.zeros_like(u)) if path in gate_of else u

        updates, first = before.update(map_named(closed_to_zero, updates), state.before, params)
        methods, made = [], {}
        for (key, paths), memory in zip(parts, state.methods, strict=True):
            own = None if params is None else select(params, paths)
            inside, new = method().update(select(updates, paths), memory, own)
            if key:
                new = jax.tree.map(lambda now, old, key=key: jnp.where(lets[key], now, old), new, memory)
            methods.append(new)
            made |= dict(zip(_paths(inside), jax.tree.leaves(inside), strict=True))
        updates = map_named(lambda path, _: closed_to_zero(path, made[path]), updates)
        updates, last = after.update(updates, state.after, params)
        updates = jax.tree.map(lambda u: scale.astype(u.dtype) * u, updates)
        return updates, ControlledState(state.controls, first, tuple(methods), last)

    return optax.GradientTransformation(init, update)


def _paths(tree: PyTree) -> list[str]:
    found: list[str] = []
    map_named(lambda path, leaf: found.append(path), tree)
    return found


def select(tree: PyTree, paths: set[str]) -> PyTree:
    """The tree with None in place of the arrays of other paths."""
    return map_named(lambda path, leaf: leaf if path in paths else None, tree)


def _is_controls(node: object) -> bool:
    return isinstance(node, Controls)


def controls(state: PyTree) -> Controls | None:
    """The controls in an optimizer's state; None if it was built without gates."""
    found = [leaf for leaf in jax.tree.leaves(state, is_leaf=_is_controls) if _is_controls(leaf)]
    return found[0] if found else None


def set_controls(state: State, *, scale: float | None = None, opened: Iterable[int] = ()) -> State:
    """The optimizer's state with another factor of the learning rate, or with gates opened; nothing is compiled.

    Args:
        state: of an optimizer that was built with ``gates``.
        scale: the new factor; it stays as it is by default.
        opened: the gates to open, by their place in ``gates``.

    Raises:
        InputError: for an optimizer that was built without gates, or an unknown gate.

    >>> from spago_jax.optim import OptimizerConfig, build_optimizer, current_learning_rate
    >>> model = {"w": jnp.ones(2)}
    >>> optimizer = build_optimizer(OptimizerConfig(), model, total_steps=9, steps_per_epoch=3, gates=["w"])
    >>> state = set_controls(optimizer.init(model), scale=0.5, opened=[0])
    >>> float(current_learning_rate(state)), controls(state).open
    (0.0005..., Array([1., 1.], dtype=float32))
    """
    old = controls(state)
    if old is None:
        raise InputError("this optimizer has no controls: build it with build_optimizer(..., gates=[...])")
    now = np.array(old.open)
    for i in opened:
        if not 0 <= i < len(now) - 1:
            raise InputError(f"there is no gate {i}: the optimizer was built with {len(now) - 1} of them")
        now[i + 1] = 1
    factor = np.asarray(old.scale) if scale is None else np.asarray(scale, old.scale.dtype)
    # Where the old ones are: a compiled step takes arrays of the same devices.
    new = Controls(jax.device_put(factor, old.scale.sharding), jax.device_put(now, old.open.sharding))
    return jax.tree.map(lambda leaf: new if _is_controls(leaf) else leaf, state, is_leaf=_is_controls)
