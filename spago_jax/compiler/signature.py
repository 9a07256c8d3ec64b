# SPDX-License-Identifier: BSD-2-Clause
"""The signature of a call: what JAX traces for, by argument path, so that two calls can be compared in words."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from spago_jax.core.paths import path_name
from spago_jax.errors import SpagoError


class RetraceError(SpagoError, RuntimeError):
    """A frozen Program was called with inputs that it was not compiled for."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """Shapes and dtypes of one call, by argument path, and its static configuration.

    Attributes:
        avals: ``(path, "float32[2, 3]")`` of every array.
        structure: what JAX compares besides: the tree, with the static fields in it, and the static arguments.
        settings: ``(path, value)`` of the static configuration in words, for messages.
    """

    avals: tuple[tuple[str, str], ...]
    structure: object
    settings: tuple[tuple[str, str], ...] = dataclasses.field(compare=False, default=())

    @classmethod
    def of(cls, arguments: Mapping[str, Any], static: Mapping[str, Any] | None = None) -> "Signature":
        """Returns the signature of arguments by name.

        Args:
            arguments: arrays, tracers or ``ShapeDtypeStruct``.
            static: the static arguments, hashable.
        """
        static = dict(sorted((static or {}).items()))
        avals, trees = [], []
        for name, argument in arguments.items():  # one by one: a dict of them would be sorted by name
            leaves, treedef = jax.tree_util.tree_flatten_with_path(argument)
            avals += [(".".join(filter(None, (name, path_name(path)))), _describe(leaf)) for path, leaf in leaves]
            trees.append((name, treedef))
        settings = [*_settings(arguments, ""), *((name, _short(value)) for name, value in static.items())]
        return cls(tuple(avals), (tuple(sorted(trees, key=_first)), tuple(static.items())), tuple(settings))

    def difference(self, other: "Signature") -> list[str]:
        """What is different in ``other``, one line a path."""
        lines = [
            f"{path}: {mine.get(path, 'absent')} -> {theirs.get(path, 'absent')}"
            for mine, theirs in (
                (dict(self.avals), dict(other.avals)),
                (dict(self.settings), dict(other.settings)),
            )
            for path in dict.fromkeys([*mine, *theirs])
            if mine.get(path) != theirs.get(path)
        ]
        if not lines and self.structure != other.structure:
            lines.append("the tree of the arguments: other containers, or static values that only look alike")
        return lines

    def inputs(self, limit: int = 4) -> str:
        """Returns a short description: the last few arguments that are not deep inside a model, and how many more."""
        plain = [f"{path}: {aval}" for path, aval in self.avals if path.count(".") <= 1] or [
            f"{path}: {aval}" for path, aval in self.avals
        ]
        shown = plain[-limit:]
        more = len(self.avals) - len(shown)
        return (", ".join(shown) or "no arrays") + (f", and {more} more" if more else "")


def retrace_error(name: str, seen: list[Signature], new: Signature) -> RetraceError:
    """Returns the error of a frozen Program, which names what differs from the nearest compiled signature."""
    if not seen:
        return RetraceError(f"{name} is frozen and was never compiled; call add(...) or warmup() before freeze()")
    nearest = min(seen, key=lambda signature: len(signature.difference(new)))
    lines = nearest.difference(new)
    shown = "\n  ".join(lines[:8]) + (f"\n  ... and {len(lines) - 8} more" if len(lines) > 8 else "")
    return RetraceError(
        f"{name} is frozen with {len(seen)} compiled signature(s), and this call fits none of them.\n"
        f"The nearest one differs in (compiled -> called):\n  {shown}\n"
        f"Pad the inputs to a compiled shape, give the Program buckets, or add(...) this shape before freeze()."
    )


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def _describe(leaf: Any) -> str:
    aval = jax.typeof(leaf) if not isinstance(leaf, jax.ShapeDtypeStruct) else leaf
    weak = "weak " if getattr(aval, "weak_type", False) else ""  # a Python number, or made of one
    return f"{weak}{aval.dtype.name}[{', '.join(map(str, aval.shape))}]"


def _settings(node: object, path: str) -> Iterator[tuple[str, str]]:
    """The static fields of every Module (and of any dataclass that JAX knows) below a node."""
    if isinstance(node, type):
        return
    if dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            here = f"{path}.{field.name}" if path else field.name
            value = getattr(node, field.name)
            if field.metadata.get("static") or field.metadata.get("pytree_node", True) is False:
                yield here, _short(value)
            else:
                yield from _settings(value, here)
        return
    children: Iterator[tuple[Any, Any]]
    if isinstance(node, Mapping):
        children = iter(node.items())
    elif isinstance(node, tuple) and hasattr(node, "_fields"):
        children = zip(node._fields, node, strict=True)  # type: ignore[attr-defined]
    elif isinstance(node, tuple | list):
        children = iter(enumerate(node))
    else:
        return
    for key, value in children:
        yield from _settings(value, f"{path}.{key}" if path else str(key))


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
