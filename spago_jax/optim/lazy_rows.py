# SPDX-License-Identifier: BSD-2-Clause
"""Updates of some rows of a table only: those that have a gradient."""

from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import optax

from spago_jax.core.paths import flat, map_named
from spago_jax.core.tree import PyTree


def owner_of(path: str, paths: Collection[str]) -> str | None:
    """Returns the array, of those given, that an array of an optimizer's state belongs to: its path ends with it.

    >>> owner_of("0.mu.words.block", ["words.block"]), owner_of("0.count", ["words.block"])
    ('words.block', None)
    """
    return next((each for each in paths if path == each or path.endswith(f".{each}")), None)


def lazy_rows(optimizer: optax.GradientTransformation, paths: Collection[str]) -> optax.GradientTransformation:
    """The optimizer, leaving rows without a gradient, and its memory of them, as they are.

    A row of one of the arrays [rows, features] at ``paths`` is updated where any of its gradient is not zero. The count
    of steps is that of all rows together, as in PyTorch's ``SparseAdam``; weight decay is that of updated rows alone.

    >>> sgd = lazy_rows(optax.adam(0.1), ["table"])
    >>> table = {"table": jnp.ones((2, 1))}
    >>> state = sgd.init(table)
    >>> for row in (0, 1):
    ...     updates, state = sgd.update({"table": jnp.zeros((2, 1)).at[row].set(1.0)}, state, table)
    >>> [round(float(update), 4) for update in updates["table"][:, 0]]
    [0.0, -0.0744]
    """

    def update(updates: PyTree, state: PyTree, params: PyTree = None, **more: Any) -> tuple[Any, Any]:
        used = {path: (grad != 0).any(-1, keepdims=True) for path, grad in flat(updates).items() if path in paths}
        updates, new = optax.with_extra_args_support(optimizer).update(updates, state, params, **more)

        def moved(path: str, now: jax.Array, before: jax.Array) -> jax.Array:
            owner = owner_of(path, used)
            if owner is None or now.ndim != 2 or now.shape[0] != used[owner].shape[0]:
                return now
            return jnp.where(used[owner], now, before)

        olds = flat(state)
        updates = map_named(lambda path, u: moved(path, u, jnp.zeros_like(u)), updates)
        return updates, map_named(lambda path, leaf: moved(path, leaf, olds[path]), new)

    return optax.GradientTransformationExtraArgs(optimizer.init, update)
