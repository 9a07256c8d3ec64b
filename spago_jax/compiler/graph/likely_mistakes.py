# SPDX-License-Identifier: BSD-2-Clause
"""Likely mistakes in a Graph."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.graph.edges import flow
from spago_jax.compiler.graph.nodes import short_types, type_text
from spago_jax.compiler.graph.text import short_place
from spago_jax.compiler.graph.work import size, words

if TYPE_CHECKING:
    from spago_jax.compiler.graph.graph import Graph

LARGE = 2**20  # bytes of a constant that should have been an argument


@dataclasses.dataclass(frozen=True)
class GraphWarning:
    """One finding.

    Attributes:
        kind: ``unused input``, ``no derivative``, ``large constant`` or ``float64``.
        path: of the input; empty for the other kinds.
        message: the whole of it, with the way out.
        place: where in the source, where known.
    """

    kind: str
    path: str
    message: str
    place: jaxprs.Place | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def likely_mistakes(graph: "Graph") -> tuple[GraphWarning, ...]:
    """The findings for a graph, none for most.

    >>> from spago_jax.compiler.graph import graph
    >>> for mistake in likely_mistakes(graph(lambda x, y: jnp.floor(x).sum(), "f32[3]", "f32[3]")):
    ...     print(mistake)
    unused input: y f32[3] does not reach any output; remove it
    no derivative: x f32[3] reaches the output, but no derivative comes back to it: floor stops it at ...
    """
    return (*_unused(graph), *_blocked(graph), *_constants(graph), *_doubles(graph))


# -- inputs --------------------------------------------------------------------------------------------------------


def _reached(graph: "Graph") -> tuple[int, int]:
    """The inputs that reach an output, and those that reach an operation with effects, as bits."""
    outputs = effects = 0

    def listen(eqn: jaxprs.JaxprEqn, bits: int, place: jaxprs.Place | None) -> None:
        nonlocal effects
        effects |= bits if eqn.effects else 0

    for bits in flow(graph.jaxpr, _bits(graph), listener=listen):
        outputs |= bits
    return outputs, effects


def _bits(graph: "Graph") -> list[int]:
    return [1 << index for index in range(len(graph.inputs))]


def _unused(graph: "Graph") -> Iterator[GraphWarning]:
    outputs, effects = _reached(graph)
    for index, (path, var) in enumerate(zip(graph.inputs, graph.jaxpr.jaxpr.invars, strict=True)):
        if not (outputs | effects) >> index & 1:
            yield GraphWarning("unused input", path, f"{path} {_type(var.aval)} does not reach any output; remove it")


# Operations whose derivative is zero or undefined wherever they are used.
_FLAT = words("stop_gradient floor ceil round sign is_finite nextafter argmax argmin")


def _blocked(graph: "Graph") -> Iterator[GraphWarning]:
    outputs = graph.jaxpr.jaxpr.outvars
    if not any(_inexact(var.aval) for var in outputs):
        return
    stops: dict[int, tuple[jaxprs.JaxprEqn, jaxprs.Place | None]] = {}  # the first that does, for each input

    def passes(eqn: jaxprs.JaxprEqn, output: int) -> bool:
        return eqn.primitive.name not in _FLAT and _inexact(eqn.outvars[output].aval)

    def listen(eqn: jaxprs.JaxprEqn, bits: int, place: jaxprs.Place | None) -> None:
        if all(passes(eqn, output) for output in range(len(eqn.outvars))):
            return
        for index in range(len(graph.inputs)):
            if bits >> index & 1:
                stops.setdefault(index, (eqn, place))

    found = flow(graph.jaxpr, _bits(graph), passes, listen, custom=False)
    flowing = 0
    for bits, var in zip(found, outputs, strict=True):
        flowing |= bits if _inexact(var.aval) else 0
    reached, _ = _reached(graph)
    wanted = graph._wrt(None)
    for index, (path, var) in enumerate(zip(graph.inputs, graph.jaxpr.jaxpr.invars, strict=True)):
        if path not in wanted or flowing >> index & 1 or not reached >> index & 1:
            continue
        first, place = stops.get(index, (None, None))
        where = f" at {short_place(place)}" if place else ""
        through = f": {_operation(first)} stops it{where}" if first is not None else ""
        yield GraphWarning(
            "no derivative",
            path,
            f"{path} {_type(var.aval)} reaches the output, but no derivative comes back to it{through}",
            place,
        )


def _operation(eqn: jaxprs.JaxprEqn) -> str:
    """An operation, with the dtype that it converts to."""
    name = eqn.primitive.name
    return f"{name} to {eqn.outvars[0].aval.dtype}" if name == "convert_element_type" else name  # type: ignore[attr-defined]


# -- constants and dtypes ------------------------------------------------------------------------------------------


def _equations(
    closed: jaxprs.ClosedJaxpr, place: jaxprs.Place | None = None
) -> Iterator[tuple[jaxprs.ClosedJaxpr, jaxprs.JaxprEqn, jaxprs.Place | None]]:
    """Every equation, with the program that it is in and where it was written."""
    for eqn in closed.jaxpr.eqns:
        where = jaxprs.place(eqn) or place
        yield closed, eqn, where
        for body in jaxprs.bodies(eqn).values():
            yield from _equations(body, where)


def _constants(graph: "Graph") -> Iterator[GraphWarning]:
    seen: set[int] = set()
    for closed, eqn, place in _equations(graph.jaxpr):
        named = dict(zip(closed.jaxpr.constvars, closed.consts, strict=False))
        for atom in eqn.invars:
            value: Any = atom.val if isinstance(atom, jaxprs.Literal) else named.get(atom)
            if id(value) in seen or getattr(value, "nbytes", 0) <= LARGE:
                continue
            seen.add(id(value))
            where = f", used at {short_place(place)}" if place else ""
            yield GraphWarning(
                "large constant",
                "",
                f"{_type(value)} of {size(value.nbytes)} is written into the program{where}; make it an argument",
                place,
            )


def _doubles(graph: "Graph") -> Iterator[GraphWarning]:
    if any(_double(var.aval) for var in graph.jaxpr.jaxpr.invars):
        return
    for _, eqn, place in _equations(graph.jaxpr):
        made = [var.aval for var in eqn.outvars if _double(var.aval)]
        if not made or jaxprs.bodies(eqn):
            continue
        where = f" at {short_place(place)}" if place else ""
        yield GraphWarning(
            "float64",
            "",
            f"{eqn.primitive.name} makes {_type(made[0])}{where}, though no input is float64; give it a dtype",
            place,
        )
        return  # what follows from it would only repeat it


def _double(aval: Any) -> bool:
    return getattr(aval, "dtype", None) in (np.float64, np.complex128)


def _inexact(aval: Any) -> bool:
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)


def _type(aval: Any) -> str:
    return type_text(aval.shape, short_types(aval.dtype))
