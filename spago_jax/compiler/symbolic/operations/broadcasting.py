# SPDX-License-Identifier: BSD-2-Clause
"""Binary operations that repeat named axes; nothing is repeated unless it is asked for."""

from typing import Any

import jax.numpy as jnp

from spago_jax.compiler.symbolic.node import Node
from spago_jax.compiler.symbolic.registry import described, find, operation, owner_of
from spago_jax.errors import InputError

Axes = tuple[int, ...]


def broadcast(name: str, a: Any, b: Any, left: Any = (), right: Any = (), **params: Any) -> Node:
    """A binary operation after axes of ``a`` (left) and of ``b`` (right) are repeated to the other's size.

    An operand with fewer axes gets new ones at these places.

    >>> from spago_jax.compiler.symbolic import Expressions, broadcast
    >>> g = Expressions()
    >>> a, b = g.vector("a", 2), g.matrix("b", (2, 2))
    >>> g.let(a, [100, 200]).let(b, [[1, 2], [3, 4]]).run(broadcast("add", a, b, left=[1]))
    Array([[101., 102.],
           [203., 204.]], dtype=float32)

    Raises:
        InputError: for an axis that the other operand does not have, or that is longer than 1.
    """
    owner = owner_of(name, (a, b))
    a, b = owner._nodes(name, (a, b))
    left, right = _axes(left), _axes(right)
    find(name)
    rank = max(a.ndim + len(left) * (a.ndim < b.ndim), b.ndim + len(right) * (b.ndim < a.ndim), a.ndim, b.ndim)
    wide_a, wide_b = _widened(name, a, b, left, rank), _widened(name, b, a, right, rank)
    sizes = list(wide_b.shape), list(wide_a.shape)
    for node, axes, to in ((wide_a, left, sizes[0]), (wide_b, right, sizes[1])):
        for axis in axes:
            if axis >= len(to):
                raise InputError(
                    f"broadcast {name}({described((a, b))}): no axis {axis} to repeat to; "
                    f"the other has shape {tuple(to)}"
                )
            if node.shape[axis] != 1:
                raise InputError(
                    f"broadcast {name}({described((a, b))}): axis {axis} of {node.label} has size {node.shape[axis]}, "
                    f"and only size 1 is repeated"
                )
    both = [wide_a, wide_b]
    for i, (axes, other) in enumerate(((left, wide_b), (right, wide_a))):
        if axes:
            shape = tuple(other.shape[d] if d in axes else size for d, size in enumerate(both[i].shape))
            both[i] = owner.apply("broadcast_to", both[i], shape=shape)
    return owner.apply(name, *both, **params)


def auto(name: str, a: Node, b: Node, **params: Any) -> Node:
    """``broadcast`` of every axis of size 1 that the other operand has longer.

    Raises:
        InputError: when the operands have not the same number of axes.
    """
    if a.ndim != b.ndim:
        raise InputError(
            f"auto {name}({described((a, b))}): shapes {a.shape} and {b.shape} should have the same number of axes"
        )
    left = [i for i in range(a.ndim) if a.shape[i] == 1 and b.shape[i] != 1]
    right = [i for i in range(a.ndim) if b.shape[i] == 1 and a.shape[i] != 1]
    return broadcast(name, a, b, left, right, **params)


@operation("broadcast_to")
def broadcast_to(x: Any, *, shape: Axes) -> Any:
    """Axes of size 1 repeated to a shape of as many axes."""
    return jnp.broadcast_to(x, shape)


def _axes(axes: Any) -> Axes:
    return (axes,) if isinstance(axes, int) else tuple(axes)


def _widened(name: str, node: Node, other: Node, axes: Axes, rank: int) -> Node:
    if node.ndim >= other.ndim or not axes:
        return node
    shape = list(node.shape)
    for axis in sorted(axes):
        if axis > len(shape) or axis >= rank:
            raise InputError(
                f"broadcast {name}({described((node, other))}): no axis {axis} to repeat to; "
                f"{other.label} has shape {other.shape}"
            )
        shape.insert(axis, 1)
    return node.owner.apply("reshape", node, shape=tuple(shape))
