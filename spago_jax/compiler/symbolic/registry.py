# SPDX-License-Identifier: BSD-2-Clause
"""The operations by name, and how one is applied to nodes: checks, shapes and dtypes, sharing."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.symbolic.node import Node, Operation
from spago_jax.errors import InputError, did_you_mean

OPERATIONS: dict[str, Operation] = {}


def operation(
    name: str,
    check: Callable[..., None] | None = None,
    *,
    symbol: str = "",
    differentiable: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Node]]:
    """Decorator: a function of arrays, then of keyword-only parameters, becomes one of nodes."""

    def register(function: Callable[..., Any]) -> Callable[..., Node]:
        OPERATIONS[name] = Operation(name, function, check, symbol, differentiable)

        @functools.wraps(function)
        def apply_to_nodes(*args: Any, **params: Any) -> Node:
            return owner_of(name, args).apply(name, *args, **params)

        return apply_to_nodes

    return register


def find(name: str) -> Operation:
    """The operation of a name."""
    if name not in OPERATIONS:
        raise InputError(f"no operation {name!r}: {did_you_mean(name, OPERATIONS)}")
    return OPERATIONS[name]


def owner_of(name: str, operands: Any) -> Any:
    """The ``Expressions`` of the first node among the operands."""
    for operand in operands:
        if isinstance(operand, Node):
            return operand.owner
    raise InputError(f"{name}: none of its operands is a node of an Expressions")


def infer(op: Operation, operands: tuple[Node, ...], params: dict[str, Any]) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and dtype of a result.

    Raises:
        InputError: naming the operation, the operands and their types.
    """
    signature = inspect.signature(op.function)
    known = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    for param in params:
        if param not in known:
            raise InputError(f"{op.name}: no parameter {param!r}: {did_you_mean(param, known)}")
    same_dtype(op.name, operands)
    if op.check is not None:
        op.check(op.name, *operands, **params)
    structs = [jax.ShapeDtypeStruct(node.shape, node.dtype) for node in operands]
    try:
        result = jax.eval_shape(lambda *arrays: op.function(*arrays, **params), *structs)
    except (TypeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{op.name}({described(operands)}): {reason}") from error
    return tuple(result.shape), np.dtype(result.dtype)


def same_dtype(name: str, operands: tuple[Node, ...]) -> None:
    """Nothing is promoted: floats of two kinds do not meet, nor floats and integers, but for indices."""
    floats = [node for node in operands if jnp.issubdtype(node.dtype, jnp.inexact)]
    if len({node.dtype for node in floats}) > 1:
        raise InputError(
            f"{name}({described(operands)}): {floats[0].dtype} and "
            f"{next(n.dtype for n in floats if n.dtype != floats[0].dtype)} do not mix; convert(x, dtype) one of them"
        )


def described(operands: tuple[Node, ...]) -> str:
    """The operands with their types, for errors."""
    return ", ".join(f"{node.label}: {node.type}" for node in operands)


def hashable(value: Any) -> Any:
    """A parameter as a value that compares: lists as tuples, slices as themselves."""
    if isinstance(value, list | tuple):
        return tuple(hashable(item) for item in value)
    if isinstance(value, np.dtype | type):
        return np.dtype(value)
    return value
