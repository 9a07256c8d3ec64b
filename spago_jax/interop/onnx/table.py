# SPDX-License-Identifier: BSD-2-Clause
"""The table of operations: for each primitive of JAX, the function that writes it as ONNX nodes."""

from collections.abc import Callable
from typing import Any

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
