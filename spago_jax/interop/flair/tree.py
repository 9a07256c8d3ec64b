# SPDX-License-Identifier: BSD-2-Clause
"""The tree of a Flair model's embeddings, pickled as objects until 0.11 and as plain dicts from 0.12 on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record, number_of

STACKS, POOLED = ("StackedEmbeddings",), ("PooledFlairEmbeddings",)
_DEPTH, _MOST = 4, 64


@dataclass(frozen=True)
class Node:
    """One embedding of the tree.

    Attributes:
        kind: its class, ``FlairEmbeddings``.
        name: the one that it was saved under, by which Flair sorts; empty where there is none.
        settings: its attributes, or the arguments that it is made with.
        prefix: of its tensors in the state_dict of the model, with a dot at its end.
        record: the object, or None where it was saved as a dict.
        path: the file.
    """

    kind: str
    name: str
    settings: Mapping[Any, Any]
    prefix: str
    record: Record | None
    path: Path

    def get(self, key: str, default: Any = None) -> Any:
        """Returns a setting; of an object also one of the arguments that it was made with, or a mangled name."""
        for name in (key, f"_{self.kind}__{key}"):
            if name in self.settings:
                return number_of(self.settings[name])
        return default

    def module(self, name: str) -> Any:
        """Returns a part of an object."""
        modules = self.settings.get("_modules")
        return modules.get(name) if isinstance(modules, dict) else None


def node_of(value: Any, prefix: str, path: Path) -> Node:
    """Returns an embedding, whichever way it was saved.

    Raises:
        InputError: for something else.
    """
    if isinstance(value, Record) and isinstance(value.state, dict):
        return Node(value.kind, _text(value.state.get("name")), value.state, prefix, value, path)
    if isinstance(value, dict) and isinstance(value.get("__cls__"), str):
        return Node(value["__cls__"], _text(value.get("name")), value, prefix, None, path)
    found = f"an object of {value.name}" if isinstance(value, Record) else f"a {type(value).__name__}"
    raise InputError(f"{prefix.rstrip('.') or 'embeddings'} is {found}, expected an embedding of Flair's", path=path)


def leaves(value: Any, prefix: str, path: Path) -> list[Node]:
    """Returns the embeddings of words of a tree, or of a list, in the order in which Flair concatenates them.

    That is the order of the names that they were saved under, not that of the list: see ``Node.name``.

    Raises:
        InputError: for something that is not an embedding, or a tree that is too deep.
    """
    return sorted(_leaves(value, prefix, path, 0), key=lambda leaf: leaf.name)


def _leaves(value: Any, prefix: str, path: Path, depth: int) -> Iterator[Node]:
    if depth > _DEPTH:
        raise InputError(f"{prefix.rstrip('.')}: embeddings stacked more than {_DEPTH} deep", path=path)
    if isinstance(value, list):
        inner = value
    else:
        node = node_of(value, prefix, path)
        if node.kind in POOLED:  # it puts two vectors at each word, under names of their own
            context = context_of(node)
            yield context
            yield node if node.name else replace(node, name=f"{context.name}-context")
            return
        if node.kind not in STACKS:
            yield node
            return
        inner = children(node)
    if len(inner) > _MOST:
        raise InputError(f"{prefix.rstrip('.')}: {len(inner):,} embeddings in a stack, at most {_MOST}", path=path)
    for number, child in enumerate(inner):
        yield from _leaves(child, f"{prefix}list_embedding_{number}.", path, depth + 1)


def context_of(node: Node) -> Node:
    """Returns the contextual embedding that a pooled one is made of."""
    value = node.settings.get("contextual_embeddings")
    return node_of(node.module("context_embeddings") if value is None else value, f"{node.prefix}context_embeddings.",
                   node.path)  # fmt: skip


def children(node: Node) -> list[Any]:
    """Returns the embeddings that one is made of."""
    found = node.settings.get("embeddings")
    if isinstance(found, list | tuple):
        return list(found)
    modules = node.settings.get("_modules")
    if isinstance(modules, dict):
        numbers = range(len(modules))
        named = [modules.get(f"list_embedding_{number}") for number in numbers]
        return [child for child in named if child is not None]
    raise InputError(f"a {node.kind} without a list of embeddings", path=node.path)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
