# SPDX-License-Identifier: BSD-2-Clause
"""Derivatives as nodes."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.symbolic.evaluation import evaluate, inputs_of, passes
from spago_jax.compiler.symbolic.node import Node, Operation
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.compiler.symbolic.expressions import Expressions


def grad(owner: "Expressions", cost: Node, wrt: tuple[Node, ...]) -> tuple[Node, ...]:
    """See ``Expressions.grad``."""
    if cost.shape != () or not jnp.issubdtype(cost.dtype, jnp.floating):
        raise InputError(f"grad: expected the cost to be a scalar float; {cost.label} is {cost.type}")
    if not wrt:
        wrt = tuple(node for node in inputs_of([cost]) if _is_float(node) and passes(node, cost))
    return backpropagate(owner, (cost,), (owner.constant(1, cost.dtype),), wrt)


def backpropagate(
    owner: "Expressions", outputs: tuple[Node, ...], output_grads: tuple[Node, ...], wrt: tuple[Node, ...]
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
    if key not in owner._shared:  # one backward pass for all of them: a hidden node that holds them together
        op = Operation("_gradients", _vjp(outputs, inputs, wrt))
        owner._shared[key] = Node(owner, "", op, (*inputs, *output_grads), (), (), np.dtype(outputs[0].dtype))
    bundle = owner._shared[key]
    names = ", ".join(output.label for output in outputs)
    return tuple(_item(owner, bundle, index, node, names) for index, node in enumerate(wrt))


def _vjp(outputs: tuple[Node, ...], inputs: tuple[Node, ...], wrt: tuple[Node, ...]) -> Any:
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


def _item(owner: "Expressions", bundle: Node, index: int, wrt: Node, of: str) -> Node:
    key = ("gradient", bundle, index)
    if key not in owner._shared:
        op = Operation(f"d({of})/d{wrt.name}", lambda found: found[index])
        owner._shared[key] = _Derivative(owner, "", op, (bundle,), (), wrt.shape, wrt.dtype)
    return owner._shared[key]


class _Derivative(Node):
    """A derivative: its text is its name."""

    def text(self, depth: int) -> str:
        """Its name: what is differentiated, and by what."""
        return self.operation.name if self.operation else self.name


def _is_float(node: Node) -> bool:
    return jnp.issubdtype(node.dtype, jnp.floating)
