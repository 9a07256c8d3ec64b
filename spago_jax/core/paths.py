# SPDX-License-Identifier: BSD-2-Clause
"""The one naming of a model's arrays, ``encoder.forward.gates.weight``, used by checkpoints, exports and rules."""

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core.definition import DECAY, ROLE, Role
from spago_jax.core.module import Module
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean

Tree = TypeVar("Tree")


def _key_name(key: object) -> str:
    for attribute in ("name", "key", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def path_name(path: Iterable[Any]) -> str:
    """The dotted name of a JAX key path."""
    return ".".join(_key_name(key) for key in path)


def flat(model: PyTree) -> dict[str, Any]:
    """Every array of a model (or any pytree) by its dotted path, in the order of its fields.

    Raises:
        InputError: for two arrays under one name (dict keys that hold dots).

    >>> import spago_jax as sj
    >>> class Pair(sj.Module):
    ...     left: sj.Array
    ...     right: tuple
    >>> sorted(flat(Pair(jnp.zeros(2), (jnp.ones(1), jnp.ones(3)))))
    ['left', 'right.0', 'right.1']
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(model)[0]:
        name = path_name(path)
        if name in named:
            raise InputError(f"two arrays have the path {name!r}; a dict key in a model may not hold a dot")
        named[name] = leaf
    return named


def unflat(model: Tree, arrays: Mapping[str, Any], *, partial: bool = False) -> Tree:
    """A copy of ``model`` with its arrays taken from ``{path: array}``; shapes and names must agree.

    Args:
        model: the skeleton (arrays, or the ``ShapeDtypeStruct`` of ``jax.eval_shape``).
        arrays: the new values by path.
        partial: keep the model's own value where a path is missing.

    Raises:
        InputError: for a missing path, an unknown path, or another shape, naming it.
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(model)
    names = list(flat(model))
    known = set(names)
    for name in arrays:
        if name not in known:
            raise InputError(f"no array {name!r} in this model: {did_you_mean(name, names)}")
    new = []
    for name, (_, old) in zip(names, leaves, strict=True):
        if name not in arrays:
            if not partial:
                raise InputError(f"array {name!r} is missing: the model has it with shape {np.shape(old)}")
            new.append(old)
            continue
        value = arrays[name]
        if np.shape(value) != np.shape(old):
            raise InputError(f"array {name!r} has shape {np.shape(value)}, the model expects {np.shape(old)}")
        new.append(value)
    return jax.tree_util.tree_unflatten(treedef, new)


def roles(model: PyTree) -> dict[str, Role]:
    """The role of every array by path: trained or not, shrunk by weight decay or not.

    An integer or boolean array is never trainable; all that hangs under a ``buffer()`` field is a buffer.
    """
    return {path_name(path): _role(model, path, leaf) for path, leaf in jax.tree_util.tree_flatten_with_path(model)[0]}


def _role(model: PyTree, path: Iterable[Any], leaf: object) -> Role:
    trainable = jnp.issubdtype(jax.dtypes.result_type(leaf), jnp.inexact)
    decay = True
    node = model
    for key in path:
        if isinstance(node, Module):
            metadata = _metadata(type(node))[key.name]
            trainable = trainable and metadata.get(ROLE) != "buffer"
            decay = decay and metadata.get(DECAY, True)
        node = _child(node, key)
    return Role(trainable=bool(trainable), decay=bool(decay and trainable))


def _metadata(cls: type) -> dict[str, Mapping[str, Any]]:
    return {field.name: field.metadata for field in dataclasses.fields(cls)}


def _child(node: PyTree, key: Any) -> Any:
    if hasattr(key, "name"):
        return getattr(node, key.name, None)
    if isinstance(key, jax.tree_util.FlattenedIndexKey):
        return None  # a node that JAX flattens without names: what hangs below it has no role of its own
    return node[key.key if hasattr(key, "key") else key.idx]


def matches(path: str, pattern: str) -> bool:
    """Whether a path pattern covers a path: shell wildcards over the whole name, or a module's own name.

    >>> matches("encoder.forward.weight", "encoder.*"), matches("encoder.forward.weight", "encoder")
    (True, True)
    >>> matches("encoder.weight", "enc")
    False
    """
    return fnmatch.fnmatchcase(path, pattern) or path.startswith(pattern + ".")


def match_paths(model: PyTree, patterns: str | Iterable[str], *, where: str = "pattern") -> set[str]:
    """The paths of a model that any of the patterns covers.

    Raises:
        InputError: for a pattern that covers nothing (a silent no-op would train what should be frozen).
    """
    names = list(flat(model))
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        hits = {name for name in names if matches(name, pattern)}
        if not hits:
            known = {".".join(name.split(".")[:n]) for name in names for n in range(1, name.count(".") + 2)}
            raise InputError(f"{where} {pattern!r} matches no array of the model: {did_you_mean(pattern, known)}")
        found |= hits
    return found


def map_named(function: Callable[[str, Any], Any], model: Tree) -> Tree:
    """``jax.tree.map`` whose function is also given each array's dotted path."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: function(path_name(path), leaf), model)
