# SPDX-License-Identifier: BSD-2-Clause
"""The table of operations: for each primitive of JAX, the function that writes it as ONNX nodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class Aval(Protocol):
    """The type of a value: JAX's own declarations promise less than every array has."""

    @property
    def dtype(self) -> np.dtype:
        """The type of its numbers."""
        ...

    @property
    def shape(self) -> tuple[Any, ...]:
        """Its sizes, of which some may be free."""
        ...


class Variable(Protocol):
    """An operand or a result of an equation."""

    @property
    def aval(self) -> Aval:
        """Its type."""
        ...


class Primitive(Protocol):
    """An operation of JAX."""

    name: str


class Equation(Protocol):
    """What a rule reads of an equation."""

    @property
    def primitive(self) -> Primitive:
        """The operation."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Its settings by name."""
        ...

    @property
    def invars(self) -> Sequence[Variable]:
        """Its operands."""
        ...

    @property
    def outvars(self) -> Sequence[Variable]:
        """Its results."""
        ...


Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
GROUPS: dict[str, str] = {}

# Equations that only call a program: it is written out in their place.
CALLS = ("jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint")


class Unsupported(Exception):
    """An operation, or a use of one, that has no ONNX form here; all of them are listed together at the end."""


def converts(*primitives: str) -> Callable[[Rule], Rule]:
    """Registers ``rule(graph, eqn, *inputs) -> value or values`` for primitives of JAX."""

    def register(rule: Rule) -> Rule:
        for name in primitives:
            RULES[name] = rule
            GROUPS[name] = rule.__module__.rsplit(".", 1)[-1]
        return rule

    return register
