# SPDX-License-Identifier: BSD-2-Clause
"""The ONNX graph as it grows: nodes, constants, sub-graphs, and free dimensions computed from the inputs' shapes."""

import ast
import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from jax.typing import DTypeLike

Value = str | np.ndarray
"""A tensor by name, or numbers that are known now."""

Dim = Any
"""A size, or JAX's symbolic dimension, whose ``str`` is an expression of names (``2*time + 1``)."""


class Graph:
    """One ONNX graph under construction.

    Attributes:
        source: for each named dimension, the input and the axis that it is read from.
        convert: writes a jaxpr into this graph: ``convert(closed, values) -> values``.
        place: the name scopes of what is being written, for the names of nodes.
        source_place: its place in the source.
        places: the place in the source of every tensor, by name.
        maxima_of_softmax: the identities of the equations whose maximum is only subtracted below exponentials.
    """

    def __init__(self, source: dict[str, tuple[str, int]], convert: Callable[..., list[Value]]):
        self.source, self.convert = source, convert
        self.initializers: dict[str, np.ndarray] = {}
        self._weights: dict[str, np.ndarray] = {}
        self._scopes: list[list[Any]] = [[]]
        self._made: list[set[str]] = [set()]
        self._known: dict[Any, str] = {}
        self._count = 0
        self.place = ""
        self.source_place = "place unknown"
        self.places: dict[str, str] = {}
        self.maxima_of_softmax: set[int] = set()

    @property
    def nodes(self) -> list[Any]:
        """The nodes of the outermost graph."""
        return self._scopes[0]

    def weight(self, name: str, array: np.ndarray) -> str:
        """Offers an array under its own name; it becomes part of the model where something reads it."""
        self._weights[name] = array
        return name

    def fresh(self, stem: str) -> str:
        """Returns a name that nothing else has."""
        self._count += 1
        return f"{stem}_{self._count}"

    # -- nodes -----------------------------------------------------------------------------------------------------

    def node(self, kind: str, *inputs: Value, **attributes: Any) -> str:
        """Adds a node with one output."""
        return self.nodes_out(kind, 1, *inputs, **attributes)[0]

    def nodes_out(self, kind: str, outputs: int, *inputs: Value, **attributes: Any) -> list[str]:
        """Adds a node with several outputs."""
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        self._add(kind, [self.name(value) for value in inputs], names, attributes)
        return names

    def _add(self, kind: str, inputs: list[str], outputs: list[str], attributes: dict[str, Any], at: int = -1) -> None:
        from onnx import helper

        label = f"{self.place}/{outputs[0]}" if self.place else outputs[0]
        held = {key: value for key, value in attributes.items() if value is not None}
        self._scopes[at].append(helper.make_node(kind, inputs, outputs, name=label, **held))
        self._made[at].update(outputs)
        self.places.update(dict.fromkeys(outputs, self.source_place))

    def name(self, value: Value) -> str:
        """Returns the name of a tensor; known numbers become a constant of the model, equal ones once."""
        if isinstance(value, str):
            if value in self._weights:
                self.initializers.setdefault(value, self._weights[value])
            return value
        value = np.asarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._known:
            self._known[key] = self.fresh("constant")
            self.initializers[self._known[key]] = value
        return self._known[key]

    def ints(self, *values: int) -> np.ndarray:
        """Returns an int64 vector, as axes and sizes are given."""
        return np.array(values, np.int64)

    def cast(self, value: Value, dtype: DTypeLike) -> Value:
        """Returns the value in another dtype."""
        if isinstance(value, np.ndarray):
            return value.astype(dtype)
        return self.node("Cast", value, to=element_type(dtype))

    # -- dimensions ------------------------------------------------------------------------------------------------

    def dim(self, dim: Dim) -> Value:
        """Returns a dimension as an int64 vector of one number; free ones are computed in the outermost graph, once."""
        if isinstance(dim, int | np.integer):
            return self.ints(int(dim))
        # Marked, a dimension may be called as a word of Python (`class`), and JAX's functions are told from it.
        text = re.sub(r"[A-Za-z_]\w*(?!\w*\()", lambda word: f"dim_{word[0]}", str(dim)).replace("^", "**")
        return self._expression(ast.parse(text, mode="eval").body)

    def shape(self, dims: Sequence[Dim]) -> Value:
        """Returns a shape as an int64 vector."""
        parts = [self.dim(dim) for dim in dims]
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.concatenate([self.ints(), *parts])  # type: ignore[list-item]
        key = ("shape", tuple(str(dim) for dim in dims))
        if key not in self._known:
            self._known[key] = self._outer("Concat", [self.name(part) for part in parts], axis=0)
        return self._known[key]

    def target(self, dims: Sequence[Dim]) -> Value:
        """Returns a shape for Reshape: one free dimension may be left for it to work out."""
        free = [index for index, dim in enumerate(dims) if not isinstance(dim, int | np.integer)]
        if len(free) == 1:
            return self.ints(*(-1 if index == free[0] else int(dim) for index, dim in enumerate(dims)))
        return self.shape(dims)

    def _outer(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = self.fresh("size")
        self._add(kind, inputs, [name], attributes, at=0)
        return name

    def _expression(self, node: ast.AST) -> Value:
        if isinstance(node, ast.Constant):
            return self.ints(int(node.value))  # type: ignore[arg-type]
        key = ("dim", ast.dump(node))
        if key not in self._known:
            self._known[key] = self._new_expression(node)
        return self._known[key]

    def _new_expression(self, node: ast.AST) -> str:
        if isinstance(node, ast.Name):
            tensor, axis = self.source[node.id.removeprefix("dim_")]
            return self._outer("Shape", [tensor], start=axis, end=axis + 1)
        if isinstance(node, ast.UnaryOp):
            return self._outer("Neg", [self.name(self._expression(node.operand))])
        if isinstance(node, ast.BinOp):
            left, right = self.name(self._expression(node.left)), self.name(self._expression(node.right))
            kinds = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Pow: "Pow"}
            return self._outer(kinds[type(node.op)], [left, right])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            inputs = [self.name(self._expression(argument)) for argument in node.args]
            kind = {"max": "Max", "min": "Min", "mod": "Mod", "floordiv": "Div"}[node.func.id]
            return self._outer(kind, inputs)  # sizes are not negative: Div truncates as floordiv floors
        raise ValueError(f"a dimension {ast.unparse(node)!r}")

    # -- sub-graphs ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def within(self) -> Iterator[tuple[list[Any], set[str]]]:
        """Nodes that are added in this block go into a new list."""
        self._scopes.append([])
        self._made.append(set())
        try:
            yield self._scopes[-1], self._made[-1]
        finally:
            self._scopes.pop()
            self._made.pop()

    def body(self, stem: str, avals: Sequence[Any], build: Callable[[list[Value]], Sequence[tuple[Value, Any]]]) -> Any:
        """Returns a sub-graph with inputs like ``avals``; ``build`` gives its outputs, with their
        types, from the names of the inputs.

        Whatever else it reads it takes from around it, which ONNX allows.
        """
        from onnx import helper

        names = [self.fresh("carried") for _ in avals]
        inputs = [
            value_info(name, aval.dtype, aval.shape, named=False) for name, aval in zip(names, avals, strict=True)
        ]
        with self.within() as (nodes, made):
            outputs, types = [], []
            results = build(list(names))
            for value, aval in results:
                own = isinstance(value, str) and value in made and value not in outputs
                outputs.append(value if own else self.node("Identity", value))
                types.append(value_info(outputs[-1], aval.dtype, aval.shape, named=False))
        return helper.make_graph(nodes, self.fresh(stem), inputs, types)


def element_type(dtype: DTypeLike) -> int:
    """ONNX's number for a dtype."""
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def value_info(name: str, dtype: DTypeLike, shape: Sequence[Dim], *, named: bool) -> Any:
    """Returns a typed tensor; free dimensions carry their names (the model's inputs and outputs) or are left open."""
    from onnx import helper

    dims = [int(dim) if isinstance(dim, int | np.integer) else str(dim) if named else None for dim in shape]
    return helper.make_tensor_value_info(name, element_type(dtype), dims)
