# SPDX-License-Identifier: BSD-2-Clause
"""Cut a model in two by role or by path pattern, and put the halves together again."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax

from spago_jax.core.paths import map_named, match_paths, roles
from spago_jax.core.tree import PyTree

Tree = TypeVar("Tree")
Where = Callable[[Any], "set[str]"]
"""Chooses arrays of a model: takes the model, returns the set of their paths."""


def trainable(model: PyTree) -> set[str]:
    """The paths of all arrays that are trained: float arrays that are not buffers."""
    return {path for path, role in roles(model).items() if role.trainable}


def freeze(*patterns: str) -> Where:
    """Chooses what is trainable, less what the path patterns cover.

    >>> import spago_jax as sj
    >>> class Pair(sj.Module):
    ...     left: sj.Array
    ...     right: sj.Array
    >>> pair = Pair(jnp.zeros(2), jnp.zeros(2))
    >>> sj.freeze("left")(pair)
    {'right'}
    """
    return lambda model: trainable(model) - match_paths(model, patterns, where="freeze pattern")


def chosen(model: PyTree, where: "Where | str | Iterable[str]") -> set[str]:
    """The paths that ``where`` chooses: a function of the model, a path pattern, or several."""
    return where(model) if callable(where) else match_paths(model, where)


def partition(model: Tree, where: "Where | str | Iterable[str]" = trainable) -> tuple[Tree, Tree]:
    """Two copies of the model, each with ``None`` where the other has an array: (chosen, the rest).

    ``combine`` puts them together again.
    """
    paths = chosen(model, where)
    yes = map_named(lambda path, leaf: leaf if path in paths else None, model)
    no = map_named(lambda path, leaf: None if path in paths else leaf, model)
    return yes, no


def combine(first: Tree, second: Tree) -> Tree:
    """The inverse of ``partition``: takes each array from the half that has it."""
    return jax.tree.map(lambda a, b: b if a is None else a, first, second, is_leaf=lambda leaf: leaf is None)


def labels(model: PyTree, rules: "Iterable[tuple[str, str]]", default: str = "default") -> Callable[[Any], Any]:
    """A label for each array, as the function that optax expects: the first rule ``(pattern, label)`` that fits.

    A Module is callable, so optax would *call* a tree of labels; hence a function that returns the tree.

    Raises:
        InputError: for a pattern that matches no array.
    """
    table: dict[str, str] = {}
    for pattern, label in rules:
        for path in match_paths(model, pattern, where="rule"):
            table.setdefault(path, label)
    return lambda tree: map_named(lambda path, _: table.get(path, default), tree)
