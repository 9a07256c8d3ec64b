# SPDX-License-Identifier: BSD-2-Clause
"""Running nodes on arrays, and derivatives as nodes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.symbolic.node import Node, Operation, Owner
from spago_jax.errors import InputError


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


def grad(owner: Owner, cost: Node, wrt: tuple[Node, ...]) -> tuple[Node, ...]:
    """See ``Expressions.grad``."""
    if cost.shape != () or not jnp.issubdtype(cost.dtype, jnp.floating):
        raise InputError(f"grad: expected the cost to be a scalar float; {cost.label} is {cost.type}")
    if not wrt:
        wrt = tuple(node for node in inputs_of([cost]) if _is_float(node) and passes(node, cost))
    return backpropagate(owner, (cost,), (owner.constant(1, cost.dtype),), wrt)


def backpropagate(
    owner: Owner, outputs: tuple[Node, ...], output_grads: tuple[Node, ...], wrt: tuple[Node, ...]
) -> tuple[Node, ...]:
    """See ``Expressions.backpropagate``."""
    if bad := [node.label for node in wrt if not node.is_input]:
        raise InputError(f"can only differentiate with regard to input nodes, not {', '.join(bad)}")
    if bad := [f"{node.label} is {node.dtype}" for node in wrt if not _is_float(node)]:
        raise InputError(f"can only differentiate with regard to floats: {', '.join(bad)}")
    if bad := [node.label for node in wrt if not any(passes(node, output) for output in outputs)]:
        names = ", ".join(node.label for node in outputs)
        raise InputError(f"no derivative passes from {names} to {', '.join(bad)}: not differentiable with regard to it")
    if len(outputs) != len(output_grads):
        raise InputError(f"backpropagate: {len(outputs)} outputs and {len(output_grads)} output gradients")
    for output, given in zip(outputs, output_grads, strict=True):
        if (output.shape, output.dtype) != (given.shape, given.dtype):
            raise InputError(
                f"backpropagate: the gradient of {output.label} must be {output.type}; {given.label} is {given.type}"
            )
    inputs = inputs_of(outputs)
    key = ("gradients", outputs, output_grads, wrt)

    def bundled() -> Node:  # one backward pass for all of them: a hidden node that holds them together
        op = Operation("_gradients", _vjp(outputs, inputs, wrt))
        return Node(owner, "", op, (*inputs, *output_grads), (), (), np.dtype(outputs[0].dtype))

    bundle = owner.share(key, bundled)
    names = ", ".join(output.label for output in outputs)
    return tuple(_item(owner, bundle, index, node, names) for index, node in enumerate(wrt))


def _vjp(outputs: tuple[Node, ...], inputs: tuple[Node, ...], wrt: tuple[Node, ...]) -> Callable[..., Any]:
    places = [inputs.index(node) for node in wrt]

    def function(*values: Any) -> tuple[Any, ...]:
        given, seeds = list(values[: len(inputs)]), list(values[len(inputs) :])

        def of_wrt(*chosen: Any) -> list[Any]:
            every = list(given)
            for place, value in zip(places, chosen, strict=True):
                every[place] = value
            return evaluate(outputs, dict(zip(inputs, every, strict=True)))

        seeds = [jnp.asarray(seed) for seed in seeds]
        return jax.vjp(of_wrt, *(jnp.asarray(given[place]) for place in places))[1](seeds)

    return function


def _item(owner: Owner, bundle: Node, index: int, wrt: Node, of: str) -> Node:
    op = Operation(f"d({of})/d{wrt.name}", lambda found: found[index], named=True)
    return owner.share(("gradient", bundle, index), lambda: Node(owner, "", op, (bundle,), (), wrt.shape, wrt.dtype))


def _is_float(node: Node) -> bool:
    return jnp.issubdtype(node.dtype, jnp.floating)
