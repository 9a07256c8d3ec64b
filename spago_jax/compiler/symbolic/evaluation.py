# SPDX-License-Identifier: BSD-2-Clause
"""Running nodes on arrays, and asking what they depend on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spago_jax.compiler.symbolic.node import Node


def evaluate(nodes: Sequence[Node], given: Mapping[Node, Any]) -> list[Any]:
    """The values of nodes from those of inputs (or of any other nodes); each node is computed once."""
    values: dict[Node, Any] = dict(given)
    for node in ordered(nodes, stop=given):
        if node in values:
            continue
        if node.constant is not None:
            values[node] = node.constant
        elif node.operation is not None:
            operands = [values[operand] for operand in node.operands]
            values[node] = node.operation.function(*operands, **dict(node.params))
    return [values[node] for node in nodes]


def ordered(nodes: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """The nodes and all that they depend on, operands first."""
    done: dict[Node, None] = {}
    known = set(stop)
    stack = [(node, False) for node in reversed(list(nodes))]
    while stack:
        node, seen = stack.pop()
        if node in done:
            continue
        if seen or node in known:
            done[node] = None
            continue
        stack.append((node, True))
        stack.extend((operand, False) for operand in reversed(node.operands))
    return list(done)


def inputs_of(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The inputs that nodes depend on, in the order in which they were made."""
    found = {node for node in ordered(nodes) if node.is_input}
    return tuple(node for owner in {node.owner for node in found} for node in owner.nodes if node in found)


def passes(source: Node, target: Node) -> bool:
    """Whether a derivative passes from ``target`` back to ``source``: through differentiable operations only."""
    reached = {source}
    for node in ordered([target]):
        operation = node.operation
        if operation is not None and operation.differentiable and any(operand in reached for operand in node.operands):
            reached.add(node)
    return target in reached
