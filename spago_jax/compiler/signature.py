# SPDX-License-Identifier: BSD-2-Clause
"""The signature of a call: what JAX traces for, by argument path, so that two calls can be compared in words."""

import dataclasses
from typing import Any

import jax

from spago_jax.core.paths import path_name
from spago_jax.errors import SpagoError


class RetraceError(SpagoError, RuntimeError):
    """A frozen Program was called with inputs that it was not compiled for."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """Shapes and dtypes of one call, by argument path, and its static configuration."""

    avals: tuple[tuple[str, str], ...]
    structure: str

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> "Signature":
        """The signature of arguments by name (arrays, tracers or ``ShapeDtypeStruct``)."""
        leaves, treedef = jax.tree_util.tree_flatten_with_path(arguments)
        return cls(tuple((path_name(path), _describe(leaf)) for path, leaf in leaves), str(treedef))

    def difference(self, other: "Signature") -> list[str]:
        """What is different in ``other``, one line a path."""
        mine, theirs = dict(self.avals), dict(other.avals)
        lines = [
            f"{path}: {mine.get(path, 'absent')} -> {theirs.get(path, 'absent')}"
            for path in dict.fromkeys([*mine, *theirs])
            if mine.get(path) != theirs.get(path)
        ]
        if not lines and self.structure != other.structure:
            lines.append("static configuration of the arguments (same arrays, other static fields)")
        return lines

    def inputs(self, limit: int = 4) -> str:
        """A short description: the largest few arguments that are not parameters of a model."""
        plain = [f"{path}: {aval}" for path, aval in self.avals if path.count(".") <= 1] or [
            f"{path}: {aval}" for path, aval in self.avals
        ]
        more = f", and {len(self.avals) - limit} more" if len(self.avals) > limit else ""
        return ", ".join(plain[-limit:]) + more


def retrace_error(name: str, seen: list[Signature], new: Signature) -> RetraceError:
    """The error of a frozen Program: names what differs from the nearest compiled signature."""
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


def _describe(leaf: Any) -> str:
    aval = jax.typeof(leaf) if not isinstance(leaf, jax.ShapeDtypeStruct) else leaf
    weak = "~" if getattr(aval, "weak_type", False) else ""
    return f"{weak}{aval.dtype.name}[{', '.join(map(str, aval.shape))}]"
