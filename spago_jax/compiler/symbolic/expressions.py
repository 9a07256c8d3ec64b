# SPDX-License-Identifier: BSD-2-Clause
"""Expressions: named inputs, operations on them, values, gradients; in the manner of Gorgonia."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from numpy.typing import ArrayLike

from spago_jax.compiler.graph.graph import Graph
from spago_jax.compiler.program import Program
from spago_jax.compiler.symbolic import functions, tensors  # noqa: F401 - they fill the table of operations
from spago_jax.compiler.symbolic.node import Node, Operand, Operation, Owner, evaluate, find, infer, inputs_of, passes
from spago_jax.errors import InputError, did_you_mean


class Expressions(Owner):
    """A graph that is built by hand, node by node; shapes and dtypes are checked while it is built.

    >>> g = Expressions()
    >>> x, y = g.scalar("x"), g.scalar("y")
    >>> z = x + y
    >>> float(g.let(x, 2.0).let(y, 2.5).run(z))
    4.5

    Values of intermediates can be read, and gradients are nodes too:

    >>> square = z * z
    >>> dx, dy = g.grad(square, x, y)
    >>> float(g.run(square)), float(g.value(z)), float(g.value(dx))
    (20.25, 4.5, 9.0)

    Nothing is promoted or repeated unless one asks for it:

    >>> g.vector("a", 2) + g.matrix("b", (2, 2))
    Traceback (most recent call last):
    ...
    spago_jax.errors.InputError: add(a: float32[2], b: float32[2, 2]): shapes (2,) and (2, 2) differ; ...

    Args:
        seed: of the random nodes, which give other numbers at every run.
        name: of the graphs made of it.
    """

    def __init__(self, *, seed: int = 0, name: str = "expressions"):
        self.name = name
        self._seed = seed
        self._runs = 0
        self._shared: dict[Any, Node] = {}
        self._inputs: dict[str, Node] = {}
        self._bound: dict[Node, np.ndarray | jax.Array] = {}
        self._ran_with: dict[Node, Any] | None = None
        self._values: dict[Node, Any] = {}
        self._sets: list[tuple[Node, Node]] = []
        self._programs: dict[tuple[Node, ...], Program] = {}

    # -- making nodes ------------------------------------------------------------------------------------------------

    def scalar(self, name: str, dtype: DTypeLike = "float32") -> Node:
        """Returns an input without axes."""
        return self.tensor(name, (), dtype)

    def vector(self, name: str, size: int, dtype: DTypeLike = "float32") -> Node:
        """Returns an input with one axis."""
        return self.tensor(name, (size,), dtype)

    def matrix(self, name: str, shape: Sequence[int], dtype: DTypeLike = "float32") -> Node:
        """Returns an input with two axes."""
        if len(shape) != 2:
            raise InputError(f"matrix {name!r} needs two sizes, not {tuple(shape)}; tensor() takes any number")
        return self.tensor(name, shape, dtype)

    def tensor(self, name: str, shape: Sequence[int], dtype: DTypeLike = "float32") -> Node:
        """Returns an input of any shape.

        Raises:
            InputError: for a name that is taken, or float64 where JAX does not have it switched on.
        """
        if name in self._inputs:
            raise InputError(f"there is an input {name!r} already: {self._inputs[name]!r}")
        kind = np.dtype(dtype)
        if jax.dtypes.canonicalize_dtype(kind) != kind:
            raise InputError(f"{name}: {kind} needs jax.config.update('jax_enable_x64', True)")
        node = Node(self, name, None, (), (), tuple(int(size) for size in shape), kind)
        self._inputs[name] = node
        return node

    def constant(self, value: ArrayLike, dtype: DTypeLike | None = None) -> Node:
        """Returns a constant; equal ones are one node."""
        array = np.asarray(value)
        if dtype is None and array.dtype == np.float64 and not isinstance(value, np.ndarray | np.generic):
            dtype = jax.dtypes.canonicalize_dtype(np.float64)  # a Python number has no width of its own
        array = array.astype(dtype) if dtype is not None else array
        key = ("constant", array.dtype, array.shape, array.tobytes())
        return self.share(key, lambda: Node(self, "", None, (), (), array.shape, array.dtype, array))

    def key(self) -> Node:
        """Returns the random key that every run binds anew: an input of its own."""
        if "key" not in self._inputs:
            self.tensor("key", (2,), "uint32")
        return self._inputs["key"]

    def apply(self, name: str, *operands: Operand, **params: Any) -> Node:
        """Returns an operation on nodes and Python numbers (which take the dtype of the nodes).

        Raises:
            InputError: naming the operation, its operands and both shapes or dtypes where they do not fit.
        """
        op, nodes = find(name), self.operands(name, operands)
        clean = {key: _hashable(value) for key, value in params.items()}
        key = (name, nodes, repr(sorted(clean.items())))
        return self.share(key, lambda: Node(self, "", op, nodes, tuple(clean.items()), *infer(op, nodes, clean)))

    def share(self, key: Hashable, make: Callable[[], Node]) -> Node:
        """Returns the node of a key; made when it is first asked for."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def operands(self, name: str, given: Sequence[Operand]) -> tuple[Node, ...]:
        """Nodes, and Python numbers as constants of their dtype, for the operation of a name."""
        kinds = [operand.dtype for operand in given if isinstance(operand, Node)]
        nodes: list[Node] = []
        for operand in given:
            if isinstance(operand, Node):
                if operand.owner is not self:
                    raise InputError(f"{name}: {operand.label} belongs to other Expressions")
                nodes.append(operand)
            elif isinstance(operand, bool | int | float) and kinds:
                if isinstance(operand, float) and kinds[0].kind in "iub":
                    raise InputError(f"{name}: {operand} does not fit {kinds[0]}; convert the node first")
                nodes.append(self.constant(operand, kinds[0]))
            else:
                raise InputError(f"{name}: {type(operand).__name__} is not a node; make an input or a constant of it")
        return tuple(nodes)

    # -- values ------------------------------------------------------------------------------------------------------

    def let(self, node: Node | str, value: ArrayLike) -> "Expressions":
        """Binds a value to an input.

        Raises:
            InputError: when the node is not an input, or the value has another shape or dtype.
        """
        node = self._own(node)
        if not node.is_input:
            raise InputError(f"cannot bind a value to {node.label}: it is not an input node")
        array = np.asarray(value)
        if not hasattr(value, "dtype"):  # Python numbers and lists of them take the dtype that is wanted
            if array.dtype.kind == "f" and node.dtype.kind in "iub":
                raise InputError(f"let({node.label}): expected {node.dtype}, got {array.dtype}")
            array = array.astype(node.dtype)
        if array.shape != node.shape:
            raise InputError(f"let({node.label}): expected shape {node.shape}, got {array.shape}")
        if array.dtype != node.dtype:
            raise InputError(f"let({node.label}): expected {node.dtype}, got {array.dtype}")
        self._bound[node] = array
        return self

    def set(self, target: Node, source: Node) -> "Expressions":
        """Adds a statement: after every run that computes ``source``, its value is bound to the input ``target``."""
        target, source = self._own(target), self._own(source)
        if not target.is_input or (target.shape, target.dtype) != (source.shape, source.dtype):
            raise InputError(
                f"set({target.label}, {source.label}): the first must be an input of type {source.type}, "
                f"it is {target.type}"
            )
        self._sets.append((target, source))
        return self

    def run(self, *outputs: Node) -> Any:
        """Computes nodes from the bound values: one value, or a tuple; without arguments every root.

        Roots are the nodes that no other uses. The statements of ``set`` are run with it.

        Raises:
            InputError: when an input that is needed has no value.
        """
        wanted = [self._own(node) for node in outputs] or self.roots()
        sources = [source for _, source in self._sets]
        every = tuple(dict.fromkeys([*wanted, *sources]))
        if not every:
            raise InputError("nothing to run: there is no operation yet")
        self._runs += 1
        self._ran_with = dict(self._bound)
        if "key" in self._inputs and self._inputs["key"] not in self._bound:
            seed = jax.random.fold_in(jax.random.key(self._seed), self._runs)
            self._ran_with[self._inputs["key"]] = jax.random.key_data(seed)
        self._values = {}
        self._compute(every)
        for target, source in self._sets:
            self._bound[target] = self._values[source]
        return self._values[wanted[0]] if len(wanted) == 1 else tuple(self._values[node] for node in wanted)

    def value(self, node: Node | str) -> Any:
        """Returns the value of any node, by the inputs of the last run."""
        node = self._own(node)
        if self._ran_with is None:
            if node.is_input and node in self._bound:
                return self._bound[node]
            raise InputError(f"{node.label} has no value yet: run() first")
        if node not in self._values:
            self._compute((node,))
        return self._values[node]

    def reset(self, *, inputs: bool = False) -> "Expressions":
        """Forgets what was computed; with ``inputs`` also what was bound."""
        self._values, self._ran_with = {}, None
        if inputs:
            self._bound = {}
        return self

    def _compute(self, nodes: tuple[Node, ...]) -> None:
        assert self._ran_with is not None
        if nodes not in self._programs:
            self._programs[nodes] = Program(self._function(nodes, inputs_of(nodes)), name=self.name)
        given = []
        for node in inputs_of(nodes):
            if node not in self._ran_with:
                raise InputError(f"no value is bound to {node.name}: {node.type}; let({node.name}, value) first")
            given.append(self._ran_with[node])
        self._values.update(zip(nodes, self._programs[nodes](*given), strict=True))

    # -- derivatives, graphs -----------------------------------------------------------------------------------------

    def grad(self, cost: Node, *wrt: Node) -> tuple[Node, ...]:
        """The derivatives of a scalar by inputs, as nodes; without ``wrt`` by every float input that it depends on.

        Raises:
            InputError: when the cost is not a scalar float, something is not an input, or no derivative passes to it.
        """
        cost, wrt = self._own(cost), tuple(map(self._own, wrt))
        if cost.shape != () or not jnp.issubdtype(cost.dtype, jnp.floating):
            raise InputError(f"grad: expected the cost to be a scalar float; {cost.label} is {cost.type}")
        if not wrt:
            wrt = tuple(node for node in inputs_of([cost]) if _is_float(node) and passes(node, cost))
        return self.backpropagate((cost,), (self.constant(1, cost.dtype),), wrt)

    def backpropagate(
        self, outputs: Sequence[Node], output_grads: Sequence[Node], wrt: Sequence[Node]
    ) -> tuple[Node, ...]:
        """Returns the derivatives of ``sum(output . output_grad)`` by inputs: the vector-Jacobian product.

        Raises:
            InputError: when something is not a float input, or no derivative passes to it, or a gradient does not fit.
        """
        outputs, output_grads = tuple(map(self._own, outputs)), tuple(map(self._own, output_grads))
        wrt = tuple(map(self._own, wrt))
        if bad := [node.label for node in wrt if not node.is_input]:
            raise InputError(f"can only differentiate with regard to input nodes, not {', '.join(bad)}")
        if bad := [f"{node.label} is {node.dtype}" for node in wrt if not _is_float(node)]:
            raise InputError(f"can only differentiate with regard to floats: {', '.join(bad)}")
        if bad := [node.label for node in wrt if not any(passes(node, output) for output in outputs)]:
            names = ", ".join(node.label for node in outputs)
            raise InputError(
                f"no derivative passes from {names} to {', '.join(bad)}: not differentiable with regard to it"
            )
        if len(outputs) != len(output_grads):
            raise InputError(f"backpropagate: {len(outputs)} outputs and {len(output_grads)} output gradients")
        for output, given in zip(outputs, output_grads, strict=True):
            if (output.shape, output.dtype) != (given.shape, given.dtype):
                raise InputError(
                    f"backpropagate: the gradient of {output.label} must be {output.type}; "
                    f"{given.label} is {given.type}"
                )
        inputs = inputs_of(outputs)
        key = ("gradients", outputs, output_grads, wrt)

        def bundled() -> Node:  # one backward pass for all of them: a hidden node that holds them together
            op = Operation("_gradients", _vjp(outputs, inputs, wrt))
            return Node(self, "", op, (*inputs, *output_grads), (), (), np.dtype(outputs[0].dtype))

        bundle = self.share(key, bundled)
        names = ", ".join(output.label for output in outputs)
        return tuple(_item(self, bundle, index, node, names) for index, node in enumerate(wrt))

    def graph(self, *outputs: Node, inputs: Sequence[Node] | None = None, name: str | None = None) -> Graph:
        """Returns the Graph that computes nodes; its arguments are the inputs by name, in the order they were made.

        Args:
            outputs: the nodes; without any, the roots.
            inputs: the arguments in this order.
            name: of the graph.

        Raises:
            InputError: when one of ``inputs`` is not used, or one that is needed is not among them.
        """
        nodes = tuple(self._own(node) for node in outputs) or tuple(self.roots())
        needed = inputs_of(nodes)
        arguments = list(needed) if inputs is None else [self._own(node) for node in inputs]
        if unused := [node.name for node in arguments if node not in needed]:
            raise InputError(f"not all the inputs are used: {', '.join(unused)}")
        if missing := [node.name for node in needed if node not in arguments]:
            raise InputError(f"inputs are missing that the outputs need: {', '.join(missing)}")
        structs = [jax.ShapeDtypeStruct(node.shape, node.dtype) for node in arguments]
        function = self._function(nodes, arguments, alone=len(nodes) == 1)
        return Graph.of(function, *structs, name=name or self.name, arguments=[node.name for node in arguments])

    def program(self, *outputs: Node, inputs: Sequence[Node] | None = None) -> Program:
        """Returns the compiled Program that computes nodes; see ``graph``."""
        return self.graph(*outputs, inputs=inputs).compile()

    def roots(self) -> list[Node]:
        """Returns the operations that no other node uses."""
        nodes = [node for node in self._shared.values() if node.operation is not None]
        used = {operand for node in nodes for operand in node.operands}
        return [node for node in nodes if node not in used and not node.operation.name.startswith("_")]  # type: ignore[union-attr]

    @property
    def nodes(self) -> list[Node]:
        """Every node, inputs first."""
        return [*self._inputs.values(), *self._shared.values()]

    @staticmethod
    def _function(nodes: Sequence[Node], inputs: Sequence[Node], *, alone: bool = False) -> Callable[..., Any]:
        def function(*values: Any) -> Any:
            found = tuple(evaluate(nodes, dict(zip(inputs, values, strict=True))))
            return found[0] if alone else found

        return function

    def _own(self, node: object) -> Node:
        if isinstance(node, str):
            if node not in self._inputs:
                raise InputError(f"no input {node!r}: {did_you_mean(node, self._inputs)}")
            return self._inputs[node]
        if not isinstance(node, Node):
            raise InputError(f"{type(node).__name__} is not a node; make an input or a constant of it")
        if node.owner is not self:
            raise InputError(f"{node.label} belongs to other Expressions")
        return node


def _hashable(value: object) -> Any:
    """Returns a parameter as a value that compares: lists as tuples, slices as themselves."""
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, np.dtype | type):
        return np.dtype(value)
    return value


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
