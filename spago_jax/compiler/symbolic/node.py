# SPDX-License-Identifier: BSD-2-Clause
"""Nodes: values of an expression, of known shape and dtype, the operations that compute them, and their evaluation."""

import abc
import dataclasses
import functools
import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from spago_jax.errors import InputError, did_you_mean

Operand: TypeAlias = "Node | float"
"""What an operation takes: a node, or a Python number, which takes the dtype of the nodes."""

Index: TypeAlias = int | slice
"""What picks from one axis."""


class Owner(abc.ABC):
    """What nodes belong to: it makes them, and shares those that are computed alike."""

    @abc.abstractmethod
    def apply(self, name: str, *operands: Operand, **params: Any) -> "Node":
        """The operation of a name on nodes and Python numbers."""

    @abc.abstractmethod
    def operands(self, name: str, given: Sequence[Operand]) -> "tuple[Node, ...]":
        """Nodes, and Python numbers as constants of their dtype, for the operation of a name."""

    @abc.abstractmethod
    def constant(self, value: ArrayLike, dtype: DTypeLike | None = None) -> "Node":
        """A constant."""

    @abc.abstractmethod
    def share(self, key: Hashable, make: "Callable[[], Node]") -> "Node":
        """The node of a key; made when it is first asked for."""

    @abc.abstractmethod
    def key(self) -> "Node":
        """The random key that every run binds anew."""

    @property
    @abc.abstractmethod
    def nodes(self) -> "list[Node]":
        """Every node, inputs first."""


@dataclasses.dataclass(frozen=True)
class Operation:
    """What computes a node from its operands.

    Attributes:
        name: shown in errors and pictures.
        function: of arrays, then the parameters by name.
        check: raises ``InputError`` for operands that do not fit; gets the nodes and the parameters.
        symbol: how it is written between two operands.
        differentiable: whether a derivative passes through.
        named: whether the name is the whole text of a node.
    """

    name: str
    function: Callable[..., Any]
    check: Callable[..., None] | None = None
    symbol: str = ""
    differentiable: bool = True
    named: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """A value in ``Expressions``: an input, a constant, or an operation on other nodes.

    Nodes are made by ``Expressions`` and by operations. Two that are computed alike are one and the same object.

    Attributes:
        owner: the ``Expressions`` that it belongs to.
        name: of an input; empty for the others.
        operation: what computes it; None for inputs and constants.
        operands: the nodes that it is computed from.
        params: further arguments of the operation, by name.
        shape: the size of every axis.
        dtype: of its elements.
        constant: the value of a constant.
    """

    owner: Owner
    name: str
    operation: Operation | None
    operands: tuple["Node", ...]
    params: tuple[tuple[str, Any], ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    constant: np.ndarray | None = None

    __hash__ = object.__hash__
    __array_ufunc__ = None  # an array on the left leaves the operator to the node, which says what is wrong

    @property
    def is_input(self) -> bool:
        """Whether its value is given by ``let``."""
        return self.operation is None and self.constant is None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def label(self) -> str:
        """Its name, or the expression that computes it, cut short."""
        text = str(self)
        return text if len(text) <= 60 else f"{text[:57]}..."

    @property
    def type(self) -> str:
        """Its dtype and shape, as ``float32[2, 3]``."""
        return f"{self.dtype}{list(self.shape)}"

    def __str__(self) -> str:
        return self.text(4)

    def text(self, depth: int) -> str:
        """Returns the expression, at most ``depth`` operations deep."""
        if self.operation is None:
            alone = self.constant is not None and not self.shape
            return self.name or (f"{self.constant.item():g}" if alone else "constant")  # type: ignore[union-attr]
        if self.operation.named:
            return self.operation.name
        if depth == 0:
            return "..."
        parts = [operand.text(depth - 1) for operand in self.operands]
        if self.operation.symbol and len(parts) == 2:
            pairs = zip(self.operands, parts, strict=True)
            sides = (f"({part})" if o.operation and o.operation.symbol else part for o, part in pairs)
            return f" {self.operation.symbol} ".join(sides)
        parts += [f"{name}={value}" for name, value in self.params]
        return f"{self.operation.name.lstrip('_')}({', '.join(parts)})"

    def __repr__(self) -> str:
        return f"Node({self.label}: {self.type})"

    def __bool__(self) -> bool:
        raise InputError(f"{self.label} has no value yet: it cannot decide an if; run it, and look at its value")

    # -- operators: each is the operation of that name ---------------------------------------------------------------

    def __add__(self, other: "Operand") -> "Node":
        return self.owner.apply("add", self, other)

    def __radd__(self, other: "Operand") -> "Node":
        return self.owner.apply("add", other, self)

    def __sub__(self, other: "Operand") -> "Node":
        return self.owner.apply("sub", self, other)

    def __rsub__(self, other: "Operand") -> "Node":
        return self.owner.apply("sub", other, self)

    def __mul__(self, other: "Operand") -> "Node":
        return self.owner.apply("hadamard_prod", self, other)

    def __rmul__(self, other: "Operand") -> "Node":
        return self.owner.apply("hadamard_prod", other, self)

    def __truediv__(self, other: "Operand") -> "Node":
        return self.owner.apply("hadamard_div", self, other)

    def __rtruediv__(self, other: "Operand") -> "Node":
        return self.owner.apply("hadamard_div", other, self)

    def __pow__(self, other: "Operand") -> "Node":
        return self.owner.apply("pow", self, other)

    def __matmul__(self, other: "Operand") -> "Node":
        return self.owner.apply("mul", self, other)

    def __neg__(self) -> "Node":
        return self.owner.apply("neg", self)

    def __abs__(self) -> "Node":
        return self.owner.apply("abs", self)

    def __lt__(self, other: "Operand") -> "Node":
        return self.owner.apply("lt", self, other)

    def __gt__(self, other: "Operand") -> "Node":
        return self.owner.apply("gt", self, other)

    def __le__(self, other: "Operand") -> "Node":
        return self.owner.apply("lte", self, other)

    def __ge__(self, other: "Operand") -> "Node":
        return self.owner.apply("gte", self, other)

    def __getitem__(self, index: "Index | tuple[Index, ...]") -> "Node":
        parts = index if isinstance(index, tuple) else (index,)
        parts = tuple(("slice", p.start, p.stop, p.step) if isinstance(p, slice) else p for p in parts)
        return self.owner.apply("_slice", self, index=parts)

    @property
    def T(self) -> "Node":
        """With its axes reversed."""
        return self.owner.apply("transpose", self)


# -- the table of operations ---------------------------------------------------------------------------------------

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
    """Returns the operation of a name."""
    if name not in OPERATIONS:
        raise InputError(f"no operation {name!r}: {did_you_mean(name, OPERATIONS)}")
    return OPERATIONS[name]


def owner_of(name: str, operands: Iterable[object]) -> Owner:
    """Returns the ``Expressions`` of the first node among the operands."""
    for operand in operands:
        if isinstance(operand, Node):
            return operand.owner
    raise InputError(f"{name}: none of its operands is a node of an Expressions")


def described(operands: tuple[Node, ...]) -> str:
    """Returns the operands with their types, for errors."""
    return ", ".join(f"{node.label}: {node.type}" for node in operands)


def infer(op: Operation, operands: tuple[Node, ...], params: dict[str, Any]) -> tuple[tuple[int, ...], np.dtype]:
    """Returns the shape and dtype of a result.

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


# -- running nodes on arrays ----------------------------------------------------------------------------------------


def evaluate(nodes: Sequence[Node], given: Mapping[Node, Any]) -> list[Any]:
    """Returns the values of nodes from those of inputs (or of any other nodes); each node is computed once."""
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
    """Returns the nodes and all that they depend on, operands first."""
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
    """Returns the inputs that nodes depend on, in the order in which they were made."""
    found = {node for node in ordered(nodes) if node.is_input}
    return tuple(node for owner in {node.owner for node in found} for node in owner.nodes if node in found)


def passes(source: Node, target: Node) -> bool:
    """Whether a derivative passes from ``target`` back to ``source``: through differentiable operations only."""
    reached = {source}
    for node in ordered([target]):
        op = node.operation
        if op is not None and op.differentiable and any(operand in reached for operand in node.operands):
            reached.add(node)
    return target in reached
