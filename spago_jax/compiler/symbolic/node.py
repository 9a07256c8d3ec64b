# SPDX-License-Identifier: BSD-2-Clause
"""Node: one value of an expression, of known shape and dtype."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.compiler.symbolic.expressions import Expressions


@dataclasses.dataclass(frozen=True)
class Operation:
    """What computes a node from its operands.

    Attributes:
        name: shown in errors and pictures.
        function: of arrays, then the parameters by name.
        check: raises ``InputError`` for operands that do not fit; gets the nodes and the parameters.
        symbol: how it is written between two operands.
        differentiable: whether a derivative passes through.
    """

    name: str
    function: Callable[..., Any]
    check: Callable[..., None] | None = None
    symbol: str = ""
    differentiable: bool = True


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

    owner: "Expressions"
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
        """The expression, at most ``depth`` operations deep."""
        if self.operation is None:
            alone = self.constant is not None and not self.shape
            return self.name or (f"{self.constant.item():g}" if alone else "constant")  # type: ignore[union-attr]
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

    def _apply(self, name: str, *operands: Any, **params: Any) -> "Node":
        return self.owner.apply(name, *operands, **params)

    def __add__(self, other: Any) -> "Node":
        return self._apply("add", self, other)

    def __radd__(self, other: Any) -> "Node":
        return self._apply("add", other, self)

    def __sub__(self, other: Any) -> "Node":
        return self._apply("sub", self, other)

    def __rsub__(self, other: Any) -> "Node":
        return self._apply("sub", other, self)

    def __mul__(self, other: Any) -> "Node":
        return self._apply("hadamard_prod", self, other)

    def __rmul__(self, other: Any) -> "Node":
        return self._apply("hadamard_prod", other, self)

    def __truediv__(self, other: Any) -> "Node":
        return self._apply("hadamard_div", self, other)

    def __rtruediv__(self, other: Any) -> "Node":
        return self._apply("hadamard_div", other, self)

    def __pow__(self, other: Any) -> "Node":
        return self._apply("pow", self, other)

    def __matmul__(self, other: Any) -> "Node":
        return self._apply("mul", self, other)

    def __neg__(self) -> "Node":
        return self._apply("neg", self)

    def __abs__(self) -> "Node":
        return self._apply("abs", self)

    def __lt__(self, other: Any) -> "Node":
        return self._apply("lt", self, other)

    def __gt__(self, other: Any) -> "Node":
        return self._apply("gt", self, other)

    def __le__(self, other: Any) -> "Node":
        return self._apply("lte", self, other)

    def __ge__(self, other: Any) -> "Node":
        return self._apply("gte", self, other)

    def __getitem__(self, index: Any) -> "Node":
        from spago_jax.compiler.symbolic.operations.shapes import slice_

        return slice_(self, *(index if isinstance(index, tuple) else (index,)))

    @property
    def T(self) -> "Node":
        """With its axes reversed."""
        return self._apply("transpose", self)
