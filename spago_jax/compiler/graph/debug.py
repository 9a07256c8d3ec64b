# SPDX-License-Identifier: BSD-2-Clause
"""Runs a graph node by node: shows values on the way, and finds the first NaN or infinity."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.graph.nodes import Block, Const, Node, Operand, Ref, by_number, type_text
from spago_jax.core.dtypes import short_name
from spago_jax.core.paths import matches
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, SpagoError, did_you_mean

Watch = int | str | Sequence[int | str]
Check = Literal["nan", "inf", "finite"]
_CHECKS = ("nan", "inf", "finite")


class NonFiniteError(SpagoError, FloatingPointError):
    """A node of a graph made a NaN or an infinity, or was given one.

    Attributes:
        node: the one that made it.
        iterations: of the loops around it, outermost first, from 0.
        made: what it made (or was given, for an input).
        given: its inputs.
    """

    def __init__(self, message: str, node: Node, iterations: tuple[int, ...], made: object, given: Sequence[Any]):
        super().__init__(message)
        self.node, self.iterations, self.made, self.given = node, iterations, made, tuple(given)


@dataclasses.dataclass(frozen=True)
class Seen:
    """A watched value.

    Attributes:
        node: what made it.
        iterations: of the loops around it, outermost first, from 0.
        value: its result; a tuple where it has several.
    """

    node: Node
    iterations: tuple[int, ...]
    value: Any

    def __str__(self) -> str:
        times = "".join(f"[{number}]" for number in self.iterations)
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return f"{self.node.number}{times} {self.node.title}: " + "; ".join(map(describe, values))


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a graph computed, and the values that were watched, in the order in which they were made."""

    output: PyTree
    seen: tuple[Seen, ...] = ()

    def __getitem__(self, number: int) -> list[Any]:
        """The values of a watched node, one for each time that it ran."""
        found = [seen.value for seen in self.seen if seen.node.number == number]
        if not found:
            raise InputError(f"node {number} was not watched, or did not run")
        return found

    def __str__(self) -> str:
        return "\n".join(map(str, self.seen))


def evaluate(
    name: str, block: Block, leaves: Sequence[Any], watch: Watch, check: Check | None, limit: int
) -> tuple[list[Any], tuple[Seen, ...]]:
    """Runs a block node by node, into calls, loops and branches; see ``Graph.evaluate``.

    Args:
        name: of the graph, for errors.
        block: the operations.
        leaves: the values of its inputs.
        watch: the nodes to keep values of: their numbers; names of operations (``tanh``); input paths; paths of
            modules (``Tagger.rnn``, or ``rnn`` alone), with shell wildcards (``*.dot_general``).
        check: stop at the first ``"nan"``, ``"inf"``, or either (``"finite"``).
        limit: the number of values to keep, the last ones.

    Returns:
        The outputs and the watched values.

    Raises:
        NonFiniteError: for what ``check`` looks for: which node, where in the source, and what it was given.
        InputError: for a pattern that matches nothing, or an unknown check.
    """
    if check is not None and check not in _CHECKS:
        raise InputError(f"{name}: check is {check!r}: {did_you_mean(str(check), _CHECKS)}")
    if limit < 1:
        raise InputError(f"{name}: limit is {limit}; keep at least one value")
    return _Run(name, block, check, _watched(name, block, watch), limit).all(leaves)


class _Run:
    def __init__(self, name: str, block: Block, check: Check | None, watched: set[int], limit: int):
        self.name, self.outermost, self.check, self.watched, self.limit = name, block, check, watched, limit
        self.nodes = by_number(block)
        self.values: dict[int, tuple[Any, ...]] = {}
        self.times: list[tuple[int, str]] = []  # the loops around: number of the iteration, title of the loop
        self.seen: list[Seen] = []

    def all(self, leaves: Sequence[Any]) -> tuple[list[Any], tuple[Seen, ...]]:
        given = [leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf) for leaf in leaves]
        for node, value in zip(self.outermost.inputs, given, strict=True):
            self.keep(node, (value,))
            if wrong := self.wrong(value):
                raise NonFiniteError(f"{self.name}: input {node.name} holds {wrong}", node, (), value, ())
        outputs = self.block(self.outermost)
        return outputs, tuple(self.seen)

    def read(self, operand: Operand) -> Any:
        return operand.value if isinstance(operand, Const) else self.values[operand.node][operand.index]

    def keep(self, node: Node, value: tuple[Any, ...]) -> None:
        self.values[node.number] = value
        if node.number in self.watched:
            kept = value[0] if len(value) == 1 else value
            self.seen.append(Seen(node, self.iterations, kept))
            if len(self.seen) > self.limit:
                del self.seen[0]

    @property
    def iterations(self) -> tuple[int, ...]:
        return tuple(number for number, _ in self.times)

    def block(self, block: Block) -> list[Any]:
        """Runs the nodes of a block whose inputs have values."""
        for node in block.nodes:
            if node.equation is None:
                self.keep(node, (node.value,))
                continue
            given = [self.read(operand) for operand in node.operands]
            made = self.run(node, given)
            self.keep(node, tuple(made))
            for value in made if self.check else ():
                if wrong := self.wrong(value):
                    raise self.error(node, given, value, wrong)
        return [self.read(operand) for operand in block.outputs]

    def run(self, node: Node, given: list[Any]) -> list[Any]:
        eqn = node.equation
        assert eqn is not None
        if jaxprs.scan_loop(eqn):
            return self.scan(node, given)
        if jaxprs.while_loop(eqn):
            return self.repeat(node, given)
        if jaxprs.branches(eqn):
            index = int(np.clip(int(given[0]), 0, len(node.inner) - 1))
            return self.block(node.inner[index])
        return jaxprs.bind(eqn, given)

    def scan(self, node: Node, given: list[Any]) -> list[Any]:
        assert node.equation is not None
        loop = jaxprs.scan_loop(node.equation)
        assert loop is not None
        (body,) = node.inner
        split = loop.constants + loop.carried
        carry, elements = given[loop.constants : split], given[split:]
        columns: list[list[Any]] = [[] for _ in node.shapes[loop.carried :]]
        for step in range(loop.length):
            index = loop.length - 1 - step if loop.reverse else step
            self.times.append((index, node.title))
            self.enter(body, [*carry, *(element[index] for element in elements)])
            found = self.block(body)
            self.times.pop()
            carry = found[: loop.carried]
            for column, value in zip(columns, found[loop.carried :], strict=True):
                column.append(value)
        stacked = []
        for column, var in zip(columns, node.equation.outvars[loop.carried :], strict=True):
            aval: Any = var.aval
            column = column[::-1] if loop.reverse else column
            stacked.append(jnp.stack(column) if column else jnp.zeros(aval.shape, aval.dtype))
        return [*carry, *stacked]

    def repeat(self, node: Node, given: list[Any]) -> list[Any]:
        assert node.equation is not None
        parts = jaxprs.while_loop(node.equation)
        assert parts is not None
        carry = given[parts[1] + parts[3] :]
        condition, body = node.inner
        step = 0
        while True:
            self.times.append((step, node.title))
            self.enter(condition, carry)
            if not bool(self.block(condition)[0]):
                self.times.pop()
                return carry
            self.enter(body, carry)
            carry = self.block(body)
            self.times.pop()
            step += 1

    def enter(self, block: Block, values: Sequence[Any]) -> None:
        for node, value in zip(block.inputs, values, strict=True):
            self.keep(node, (value,))

    # -- complaints ------------------------------------------------------------------------------------------------

    def wrong(self, value: object) -> str:
        """What the check finds in a value, in words; empty for nothing."""
        if self.check is None or not _is_float(value):
            return ""
        array = np.asarray(value)
        parts = []
        for name, found in (("NaN", np.isnan(array)), ("infinite", np.isinf(array))):
            if self.check == "finite" or self.check == name[:3].lower():
                count = int(found.sum())
                parts += [f"{count} {name}"] if count else []
        if not parts:
            return ""
        return f"{' and '.join(parts)} of {array.size} value{'s' if array.size != 1 else ''}"

    def error(self, node: Node, given: Sequence[Any], made: object, wrong: str) -> NonFiniteError:
        inside = f" in {node.module}" if node.module else ""
        where = f" at {node.place}" if node.place else ""
        times = "".join(f", in iteration {number} of {title}" for number, title in reversed(self.times))
        lines = [f"{self.name}: node {node.number}, {node.title}, made {wrong}{inside}{where}{times}"]
        for operand, value in zip(node.operands, given, strict=True):
            given_it = f"the number {operand}" if isinstance(operand, Const) else self.named(operand, value)
            lines.append(f"  it was given {given_it}")
        return NonFiniteError("\n".join(lines), node, self.iterations, made, given)

    def named(self, operand: Ref, value: object) -> str:
        source = self.nodes[operand.node]
        title = f"{source.title} {source.name}" if source.is_source else source.title
        return f"node {source.number} ({title}): {describe(value)}"


def describe(value: Any) -> str:
    """Returns the type of an array and the range of its numbers; anything that is not a number is counted.

    >>> describe(jnp.array([1.0, jnp.nan, -2.0]))
    'f32[3] from -2 to 1, with 1 NaN'
    """
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        value = np.asarray(value)
    elif jnp.issubdtype(dtype, jax.dtypes.extended):
        return f"{dtype}{list(value.shape)}"
    array = np.asarray(value)
    kind = type_text(array.shape, short_name(array.dtype))
    if not array.size:
        return f"{kind}, empty"
    if array.dtype == bool:
        return f"{kind}, {int(array.sum())} of {array.size} true"
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        array = np.abs(array)
        kind += " of magnitude"
    finite = array[np.isfinite(array)] if _is_float(array) else array
    text = f"{kind} from {_number(finite.min())} to {_number(finite.max())}" if finite.size else kind
    if array.size == 1 and finite.size:
        text = f"{kind} {_number(finite.reshape(-1)[0])}"
    if finite.size < array.size:
        nans = int(np.isnan(array).sum())
        infinities = array.size - finite.size - nans
        counts = [f"{nans} NaN"] * bool(nans) + [f"{infinities} infinite"] * bool(infinities)
        text += f"{',' if finite.size else ''} with {' and '.join(counts)}"
    return text


def _number(value: float) -> str:
    return f"{float(value):.6g}"


def _is_float(value: object) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)


def _watched(name: str, block: Block, watch: Watch) -> set[int]:
    """Returns the numbers of the nodes that any of the patterns covers."""
    patterns = (watch,) if isinstance(watch, int | str) else tuple(watch)
    nodes = by_number(block)
    found: set[int] = set()
    for pattern in patterns:
        if isinstance(pattern, int):
            hits = {pattern} & nodes.keys()
            if not hits:
                raise InputError(
                    f"{name}: watch: there is no node {pattern}; they go from 0 to {max(nodes, default=0)}"
                )
        else:
            hits = {number for number, node in nodes.items() if any(matches(p, pattern) for p in _names(node))}
            if not hits:
                known = {word for node in nodes.values() for word in (node.operation, node.module, *node.group) if word}
                known |= {node.name for node in block.inputs}
                raise InputError(f"{name}: watch: nothing is called {pattern!r}: {did_you_mean(pattern, known)}")
        found |= hits
    return found


def _names(node: Node) -> list[str]:
    """What a node may be called by: its operation, below its module and each part of the way to it."""
    if node.operation in ("input", "parameter"):
        return [node.name]
    return [".".join((*node.group[start:], node.operation)) for start in range(len(node.group) + 1)]
