# SPDX-License-Identifier: BSD-2-Clause
"""Likely mistakes in a Graph."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.graph.edges import flow
from spago_jax.compiler.graph.nodes import type_text
from spago_jax.compiler.graph.text import short_place
from spago_jax.compiler.primitives import words
from spago_jax.core.dtypes import short_name
from spago_jax.core.show import memory

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


def likely_mistakes(
    closed: jaxprs.ClosedJaxpr, inputs: Sequence[str], differentiated: Collection[str]
) -> tuple[GraphWarning, ...]:
    """Returns the findings for a traced program; most have none.

    Args:
        closed: the program.
        inputs: the path of each input.
        differentiated: the inputs that a gradient would be taken of.

    >>> from spago_jax.compiler.graph import graph
    >>> for mistake in graph(lambda x, y: jnp.floor(x).sum(), "f32[3]", "f32[3]").warnings():
    ...     print(mistake)
    unused input: y f32[3] does not reach any output; remove it
    no derivative: x f32[3] reaches the output, but no derivative comes back to it: floor stops it at ...
    """
    return (*_unused(closed, inputs), *_blocked(closed, inputs, differentiated), *_constants(closed), *_doubles(closed))


# -- inputs --------------------------------------------------------------------------------------------------------


def _reached(closed: jaxprs.ClosedJaxpr) -> tuple[int, int]:
    """Returns the inputs that reach an output, and those that reach an operation with effects, as bits."""
    outputs = effects = 0

    def listen(eqn: jaxprs.JaxprEqn, bits: int, place: jaxprs.Place | None) -> None:
        nonlocal effects
        effects |= bits if eqn.effects else 0

    for bits in flow(closed, _bits(closed), listener=listen):
        outputs |= bits
    return outputs, effects


def _bits(closed: jaxprs.ClosedJaxpr) -> list[int]:
    return [1 << index for index in range(len(closed.jaxpr.invars))]


def _unused(closed: jaxprs.ClosedJaxpr, inputs: Sequence[str]) -> Iterator[GraphWarning]:
    outputs, effects = _reached(closed)
    for index, (path, var) in enumerate(zip(inputs, closed.jaxpr.invars, strict=True)):
        if not (outputs | effects) >> index & 1:
            yield GraphWarning("unused input", path, f"{path} {_type(var.aval)} does not reach any output; remove it")


# Operations whose derivative is zero or undefined wherever they are used.
_FLAT = words("stop_gradient floor ceil round sign is_finite nextafter argmax argmin")


def _blocked(
    closed: jaxprs.ClosedJaxpr, inputs: Sequence[str], differentiated: Collection[str]
) -> Iterator[GraphWarning]:
    outputs = closed.jaxpr.outvars
    if not any(_inexact(var.aval) for var in outputs):
        return
    stops: dict[int, tuple[jaxprs.JaxprEqn, jaxprs.Place | None]] = {}  # the first that does, for each input

    def passes(eqn: jaxprs.JaxprEqn, output: int) -> bool:
        return eqn.primitive.name not in _FLAT and _inexact(eqn.outvars[output].aval)

    def listen(eqn: jaxprs.JaxprEqn, bits: int, place: jaxprs.Place | None) -> None:
        if all(passes(eqn, output) for output in range(len(eqn.outvars))):
            return
        for index in range(len(inputs)):
            if bits >> index & 1:
                stops.setdefault(index, (eqn, place))

    found = flow(closed, _bits(closed), passes, listen, custom=False)
    flowing = 0
    for bits, var in zip(found, outputs, strict=True):
        flowing |= bits if _inexact(var.aval) else 0
    reached, _ = _reached(closed)
    for index, (path, var) in enumerate(zip(inputs, closed.jaxpr.invars, strict=True)):
        if path not in differentiated or flowing >> index & 1 or not reached >> index & 1:
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
    """Returns an operation, with the dtype that it converts to."""
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
        for body in jaxprs.subprograms(eqn).values():
            yield from _equations(body, where)


def _constants(program: jaxprs.ClosedJaxpr) -> Iterator[GraphWarning]:
    seen: set[int] = set()
    for closed, eqn, place in _equations(program):
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
                f"{_type(value)} of {memory(value.nbytes)} is written into the program{where}; make it an argument",
                place,
            )


def _doubles(closed: jaxprs.ClosedJaxpr) -> Iterator[GraphWarning]:
    if any(_double(var.aval) for var in closed.jaxpr.invars):
        return
    for _, eqn, place in _equations(closed):
        made = [var.aval for var in eqn.outvars if _double(var.aval)]
        if not made or jaxprs.subprograms(eqn):
            continue
        where = f" at {short_place(place)}" if place else ""
        yield GraphWarning(
            "float64",
            "",
            f"{eqn.primitive.name} makes {_type(made[0])}{where}, though no input is float64; give it a dtype",
            place,
        )
        return  # what follows from it would only repeat it


def _double(aval: object) -> bool:
    return getattr(aval, "dtype", None) in (np.float64, np.complex128)


def _inexact(aval: object) -> bool:
    dtype = getattr(aval, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)


def _type(aval: Any) -> str:
    return type_text(aval.shape, short_name(aval.dtype))
