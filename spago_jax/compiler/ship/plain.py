# SPDX-License-Identifier: BSD-2-Clause
"""Plain trees: dicts, lists and tuples of arrays, which any process can build and JSON can describe."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from spago_jax.core.paths import path_name
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError


def plain(tree: PyTree) -> Any:
    """Returns a pytree with its own classes (Modules, named tuples, ...) turned into dicts by field name.

    Raises:
        InputError: for dict keys that are not strings: JSON has no other kind.

    >>> from typing import NamedTuple
    >>> class State(NamedTuple):
    ...     hidden: int
    ...     cell: int
    >>> plain({"state": State(1, 2), "rest": (3, None)})
    {'state': {'hidden': 1, 'cell': 2}, 'rest': (3, None)}
    """
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        for key in tree:
            if not isinstance(key, str):
                raise InputError(f"the dict key {key!r} is not a string; an exported program takes names only")
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return {name: plain(value) for name, value in zip(tree._fields, tree, strict=True)}  # type: ignore[attr-defined]
    if isinstance(tree, tuple | list):
        return type(tree)(plain(value) for value in tree)
    if jax.tree_util.all_leaves([tree]):
        return tree
    children, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda node: node is not tree)
    return {path_name(path): plain(child) for path, child in children}


def rebuilder(tree: PyTree) -> Callable[[Any], Any]:
    """Returns the way back: a function from plain trees of this shape to trees of the original classes."""
    leaves, treedef = jax.tree.flatten(tree)
    order = jax.tree.leaves(plain(treedef.unflatten(range(len(leaves)))))  # a dict is flattened by sorted names

    def rebuild(value: object) -> Any:
        restored: list[Any] = [None] * len(leaves)
        for index, leaf in zip(order, jax.tree.leaves(value), strict=True):
            restored[index] = leaf
        return treedef.unflatten(restored)

    return rebuild


def describe(tree: PyTree, leaf: Callable[[Any], Any]) -> Any:
    """A plain tree as JSON: ``{"dict": {...}}``, ``{"list": [...]}``, ``{"tuple": [...]}``, null, or ``leaf(x)``."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {"dict": {key: describe(value, leaf) for key, value in tree.items()}}
    if isinstance(tree, tuple | list):
        kind = "tuple" if isinstance(tree, tuple) else "list"
        return {kind: [describe(value, leaf) for value in tree]}
    return leaf(tree)


def map_paths(tree: PyTree, function: Callable[[str, Any], Any], path: str) -> Any:
    """Returns a plain tree with ``function(path, leaf)`` for each leaf; ``path`` is the name of the tree itself."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {key: map_paths(value, function, f"{path}.{key}") for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(map_paths(value, function, f"{path}.{index}") for index, value in enumerate(tree))
    return function(path, tree)


def leaves_of(tree: PyTree, path: str) -> Iterator[tuple[str, Any]]:
    """``(path, leaf)`` of a plain tree, in the order of its containers."""
    found: list[tuple[str, Any]] = []
    map_paths(tree, lambda name, leaf: found.append((name, leaf)), path)
    return iter(found)
