# SPDX-License-Identifier: BSD-2-Clause
"""The operations of a Graph as plain values: what is drawn, listed, counted and run one by one."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.graph import work
from spago_jax.compiler.graph.work import Work
from spago_jax.core.dtypes import short_name
from spago_jax.core.module import Module
from spago_jax.core.show import letters

_NOTHING = Work()


@dataclasses.dataclass(frozen=True)
class Ref:
    """One of the values that a node makes."""

    node: int
    index: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Const:
    """A number written into the program."""

    value: Any

    def __str__(self) -> str:
        value = np.asarray(self.value) if not _extended(self.value) else self.value
        if getattr(value, "ndim", 1):
            return f"{value.dtype}{list(value.shape)}"
        number = value.item()
        return f"{number:.6g}" if isinstance(number, float) else str(number)


Operand = Ref | Const


@dataclasses.dataclass(frozen=True)
class Node:
    """One operation, input or constant of a Graph.

    Attributes:
        number: unique in the graph, loop bodies included.
        operation: JAX's name of it (``dot_general``), or ``input``, ``parameter``, ``constant``; in the body of a
            loop also ``carry`` (what the step before has left) and ``element`` (what this step reads of a sequence).
        name: the path of an input, or a short name.
        shapes: of its results; most operations have one.
        dtypes: of its results.
        place: where in the source it was written, where known.
        group: the modules around it, outermost first.
        work: floating point operations and bytes; a loop's with all its iterations.
        operands: where its inputs come from.
        inner: the programs inside a loop or branch.
        repeats: how often the body of a scan runs.
        backward: whether it belongs to the backward half of a derivative.
        value: of a constant.
    """

    number: int
    operation: str
    name: str
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    place: jaxprs.Place | None = None
    group: tuple[str, ...] = ()
    work: Work = _NOTHING
    operands: tuple[Operand, ...] = ()
    inner: tuple["Block", ...] = ()
    repeats: int | None = None
    backward: bool = False
    value: Any = dataclasses.field(default=None, repr=False, compare=False)
    equation: jaxprs.JaxprEqn | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first result."""
        return self.shapes[0] if self.shapes else ()

    @property
    def dtype(self) -> str:
        """Of the first result."""
        return self.dtypes[0] if self.dtypes else ""

    @property
    def flops(self) -> float:
        """Floating point operations."""
        return self.work.flops

    @property
    def bytes(self) -> float:
        """Read and written."""
        return self.work.bytes

    @property
    def inputs(self) -> tuple[int, ...]:
        """The numbers of the nodes that it reads, each once."""
        return tuple(dict.fromkeys(operand.node for operand in self.operands if isinstance(operand, Ref)))

    @property
    def module(self) -> str:
        """The path of the module that it belongs to: ``Tagger.rnn.forward``."""
        return ".".join(self.group)

    @property
    def is_source(self) -> bool:
        """Whether it is an input or a constant, not an operation."""
        return self.equation is None

    @property
    def title(self) -> str:
        """The operation with the numbers written into it.

        >>> import spago_jax as sj
        >>> from spago_jax.compiler.graph import graph
        >>> graph(lambda x: 2.0 * jnp.tanh(x), "f32[3]").nodes[2].title
        'mul 2'
        """
        if self.repeats is not None:
            return f"{self.operation} × {self.repeats}"
        given = [str(operand) for operand in self.operands if isinstance(operand, Const)]
        return " ".join([self.operation, *given]) if len(given) == 1 else self.operation

    @property
    def types(self) -> str:
        """The dtype and shape of each result.

        >>> from spago_jax.compiler.graph import graph
        >>> graph(jnp.sin, "f32[2, 3]").nodes[1].types
        'f32[2,3]'
        """
        return ", ".join(type_text(shape, dtype) for shape, dtype in zip(self.shapes, self.dtypes, strict=True))


@dataclasses.dataclass(frozen=True)
class Block:
    """A list of nodes in the order in which they run: a whole program, or the body of a loop or branch.

    Attributes:
        name: ``body``, ``condition``, ``branch 0``; empty for the whole program.
        inputs: what it is given.
        nodes: its constants and operations.
        outputs: the values that it returns.
    """

    name: str
    inputs: tuple[Node, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Operand, ...]

    @property
    def work(self) -> Work:
        """What it costs to run once."""
        return sum((node.work for node in self.nodes), Work())

    def walk(self) -> Iterator[Node]:
        """Every node, a loop before what is inside it."""
        for node, _ in self.deep():
            yield node

    def deep(self, depth: int = 0) -> Iterator[tuple[Node, int]]:
        """Every node with the number of loops and branches around it."""
        for node in (*self.inputs, *self.nodes):
            yield node, depth
            for block in node.inner:
                yield from block.deep(depth + 1)


def block_of(
    closed: jaxprs.ClosedJaxpr,
    inputs: Sequence[str],
    parameters: Sequence[bool] | None = None,
    *,
    calls: bool = True,
) -> Block:
    """Returns the nodes of a traced program.

    Args:
        closed: the program.
        inputs: the names of its inputs.
        parameters: which of the inputs are parts of a model.
        calls: whether calls (``jit``, functions with a derivative of their own) are seen through.
    """
    builder = _Builder(calls)
    kinds = ["parameter" if is_one else "input" for is_one in parameters or [False] * len(inputs)]
    given = [
        builder.source(kind, var.aval, name) for kind, name, var in zip(kinds, inputs, closed.jaxpr.invars, strict=True)
    ]
    return builder.block("", closed, given, [Ref(node.number) for node in given], (), None)


def parameter_inputs(arguments: Sequence[Any]) -> list[bool]:
    """Which leaves of the arguments belong to a model: those of Modules, and of what holds one beside other state."""
    found: list[bool] = []
    for argument in arguments:
        whole = jax.tree.leaves(argument, is_leaf=lambda part: isinstance(part, Module))
        found += [any(isinstance(part, Module) for part in whole)] * len(jax.tree.leaves(argument))
    return found


def type_text(shape: Sequence[int], dtype: str) -> str:
    """Returns a dtype and a shape, ``f32[2,3]``; a scalar has no brackets."""
    return f"{dtype}[{','.join(map(str, shape))}]" if shape else dtype


class _Builder:
    def __init__(self, calls: bool):
        self.calls = calls
        self.numbers = itertools.count()
        self.names = itertools.count()

    def source(self, operation: str, aval: object, name: str | None = None, **more: Any) -> Node:
        """Returns a node that no equation makes."""
        number = next(self.numbers)
        name = letters(next(self.names)) if name is None else name
        return Node(number, operation, name, (jaxprs.shape_of(aval),), (dtype_of(aval),), **more)

    def block(
        self,
        name: str,
        closed: jaxprs.ClosedJaxpr,
        inputs: Sequence[Node],
        given: Sequence[Operand],
        group: tuple[str, ...],
        place: jaxprs.Place | None,
        backward: bool = False,
    ) -> Block:
        nodes: list[Node] = []
        outputs = self.equations(closed, given, nodes, group, place, backward)
        return Block(name, tuple(inputs), tuple(nodes), tuple(outputs))

    def equations(
        self,
        closed: jaxprs.ClosedJaxpr,
        given: Sequence[Operand],
        nodes: list[Node],
        group: tuple[str, ...],
        place: jaxprs.Place | None,
        backward: bool,
    ) -> list[Operand]:
        """Appends the nodes of a program to a list, and returns what its outputs are."""
        known: dict[jaxprs.Var, Operand] = dict(zip(closed.jaxpr.invars, given, strict=True))
        for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True):
            if not _extended(value) and np.ndim(value) == 0:
                known[var] = Const(value)
                continue
            node = self.source("constant", var.aval, group=group, place=place, value=value)
            nodes.append(node)
            known[var] = Ref(node.number)

        def read(atom: jaxprs.Atom) -> Operand:
            return Const(atom.val) if isinstance(atom, jaxprs.Literal) else known[atom]

        for eqn in closed.jaxpr.eqns:
            operands = [read(atom) for atom in eqn.invars]
            inside = group + jaxprs.scope(eqn)
            where = jaxprs.place(eqn) or place
            back = backward or jaxprs.is_backward(eqn)
            body = jaxprs.call_body(eqn) if self.calls else None
            if body is not None:
                found = self.equations(body, operands, nodes, inside, where, back)
                known.update(zip(eqn.outvars, found, strict=True))
                continue
            node = self.operation(eqn, operands, inside, where, back)
            nodes.append(node)
            known.update((var, Ref(node.number, index)) for index, var in enumerate(eqn.outvars))
        return [read(atom) for atom in closed.jaxpr.outvars]

    def operation(
        self,
        eqn: jaxprs.JaxprEqn,
        operands: Sequence[Operand],
        group: tuple[str, ...],
        place: jaxprs.Place | None,
        backward: bool,
    ) -> Node:
        number, name = next(self.numbers), letters(next(self.names))
        inner = self.inner(eqn, operands, group, place, backward)
        loop = jaxprs.scan_loop(eqn)
        return Node(
            number,
            eqn.primitive.name,
            name,
            tuple(jaxprs.shape_of(var.aval) for var in eqn.outvars),
            tuple(dtype_of(var.aval) for var in eqn.outvars),
            place,
            group,
            work.of_equation(eqn, [block.work for block in inner]),
            tuple(operands),
            inner,
            loop.length if loop else None,
            backward,
            equation=eqn,
        )

    def inner(
        self,
        eqn: jaxprs.JaxprEqn,
        operands: Sequence[Operand],
        group: tuple[str, ...],
        place: jaxprs.Place | None,
        backward: bool,
    ) -> tuple[Block, ...]:
        def build(name: str, body: jaxprs.ClosedJaxpr, given: Sequence[Operand], kinds: Sequence[str | None]) -> Block:
            """Returns a body; an input of kind None is the outer value itself."""
            inputs, values = [], []
            for kind, operand, var in zip(kinds, given, body.jaxpr.invars, strict=True):
                if kind is None:
                    values.append(operand)
                    continue
                inputs.append(self.source(kind, var.aval, group=group, place=place, operands=(operand,)))
                values.append(Ref(inputs[-1].number))
            return self.block(name, body, inputs, values, group, place, backward)

        if loop := jaxprs.scan_loop(eqn):
            elements = len(operands) - loop.constants - loop.carried
            kinds = [None] * loop.constants + ["carry"] * loop.carried + ["element"] * elements
            return (build("body", loop.body, operands, kinds),)
        if parts := jaxprs.while_loop(eqn):
            condition, first, body, second = parts
            carry = operands[first + second :]
            kinds = ["carry"] * len(carry)
            return (
                build("condition", condition, [*operands[:first], *carry], [None] * first + kinds),
                build("body", body, [*operands[first : first + second], *carry], [None] * second + kinds),
            )
        if several := jaxprs.branches(eqn):
            names = ("if false", "if true") if len(several) == 2 else [f"branch {i}" for i in range(len(several))]
            return tuple(
                build(name, body, operands[1:], [None] * (len(operands) - 1))
                for name, body in zip(names, several, strict=True)
            )
        if eqn.primitive.name.startswith(_WITHOUT_INNER):
            return ()
        blocks = []
        for name, body in jaxprs.subprograms(eqn).items():
            same = len(body.jaxpr.invars) == len(operands) and all(
                jaxprs.shape_of(var.aval) == jaxprs.shape_of(atom.aval)
                for var, atom in zip(body.jaxpr.invars, eqn.invars, strict=True)
            )
            given = operands if same else [Const(0)] * len(body.jaxpr.invars)
            kinds = [None] * len(given) if same else ["input"] * len(given)
            block = build(name, body, given, kinds)
            if not same:  # what it is given there is the operation's own affair
                block = dataclasses.replace(
                    block, inputs=tuple(dataclasses.replace(node, operands=()) for node in block.inputs)
                )
            blocks.append(block)
        return tuple(blocks)


# Operations that hold a function of two numbers, which tells nothing more than their name.
_WITHOUT_INNER = ("scatter", "reduce", "select_and_", "sort", "cum", "argmax", "argmin")


def dtype_of(aval: Any) -> str:
    """Returns the short name of the dtype of an abstract value."""
    return short_name(aval.dtype) if hasattr(aval, "dtype") else str(aval)


def _extended(value: object) -> bool:
    """Returns whether a value is not an array of numbers: a random key."""
    return (not hasattr(value, "dtype") and not np.isscalar(value)) or jnp.issubdtype(
        getattr(value, "dtype", np.float32), jax.dtypes.extended
    )


def by_number(block: Block) -> Mapping[int, Node]:
    """Returns every node of a block and of the blocks inside it."""
    return {node.number: node for node in block.walk()}
