# SPDX-License-Identifier: BSD-2-Clause
"""Buffers that a loop fills row by row: collected by the loop itself, instead of being copied at every turn.

JAX writes ``buffer = dynamic_update_slice(buffer, row, t)``; ONNX would copy the whole buffer each time. Where the body
does nothing else with the buffer, and ``t`` is another number at every turn, the rows and their places are collected
and put in at the end. (Turns that all write beyond the end, which JAX moves to the last row, leave it undefined there.)
"""

import dataclasses

from spago_jax.compiler import jaxprs
from spago_jax.interop.onnx.graph import Value


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Stands for a buffer inside of the body of a loop."""


@dataclasses.dataclass(frozen=True)
class Written:
    """What one turn writes: the row [1, ...] and its place [1]."""

    place: Value
    row: Value


def collected(test: jaxprs.ClosedJaxpr, body: jaxprs.ClosedJaxpr, test_consts: int, body_consts: int) -> set[int]:
    """Returns the numbers of the carried values that are such buffers."""
    body = jaxprs.inline(body, custom=True, remat=True)
    carried = body.jaxpr.invars[body_consts:]
    seen = _uses(test)
    tested = {number for number, var in enumerate(test.jaxpr.invars[test_consts:]) if seen.get(var, 0)}
    uses = _uses(body)
    makers = {var: eqn for eqn in body.jaxpr.eqns for var in eqn.outvars}
    slopes = _slopes(body, body_consts)
    found = set()
    for number, (var, out) in enumerate(zip(carried, body.jaxpr.outvars, strict=True)):
        if isinstance(out, jaxprs.Literal):
            continue
        eqn = makers.get(out)
        if eqn is None or eqn.primitive.name != "dynamic_update_slice" or eqn.invars[0] is not var:
            continue
        shape, row = eqn.invars[0].aval.shape, eqn.invars[1].aval.shape  # type: ignore[union-attr]
        fits = len(shape) >= 1 and row[0] == 1 and tuple(row[1:]) == tuple(shape[1:])
        moves = _slope(slopes, eqn.invars[2]) not in (None, 0)
        if fits and moves and uses[var] == 1 and uses[out] == 1 and number not in tested:
            found.add(number)
    return found


def _uses(closed: jaxprs.ClosedJaxpr) -> dict[jaxprs.Var, int]:
    """How often each variable is read, by an equation or as an output."""
    uses: dict[jaxprs.Var, int] = {}
    for atom in [*(a for eqn in closed.jaxpr.eqns for a in eqn.invars), *closed.jaxpr.outvars]:
        if isinstance(atom, jaxprs.Var):
            uses[atom] = uses.get(atom, 0) + 1
    return uses


_SAME = ("convert_element_type", "copy", "squeeze", "reshape", "broadcast_in_dim", "stop_gradient")


def _slopes(body: jaxprs.ClosedJaxpr, body_consts: int) -> dict[jaxprs.Var, int | None]:
    """How much each value grows from turn to turn, in steps of the counter; None where nobody knows."""
    jaxpr = body.jaxpr
    makers = {var: eqn for eqn in jaxpr.eqns for var in eqn.outvars}
    slopes: dict[jaxprs.Var, int | None] = dict.fromkeys([*jaxpr.constvars, *jaxpr.invars[:body_consts]], 0)
    for var, out in zip(jaxpr.invars[body_consts:], jaxpr.outvars, strict=True):
        eqn = None if isinstance(out, jaxprs.Literal) else makers.get(out)
        slopes[var] = None
        if out is var:
            slopes[var] = 0
        elif eqn is not None and eqn.primitive.name == "add" and eqn.invars[0] is var:
            step = jaxprs.constant(eqn.invars[1])
            if step is not None and step.ndim == 0 and step != 0 and step.dtype.kind in "iu":
                slopes[var] = 1
    for eqn in jaxpr.eqns:
        given = [_slope(slopes, atom) for atom in eqn.invars]
        for var in eqn.outvars:
            slopes[var] = _after(eqn.primitive.name, given)
    return slopes


def _slope(slopes: dict[jaxprs.Var, int | None], atom: jaxprs.Atom) -> int | None:
    return 0 if isinstance(atom, jaxprs.Literal) else slopes.get(atom)


def _after(name: str, given: list[int | None]) -> int | None:
    if all(slope == 0 for slope in given):
        return 0
    if name == "select_n" and len(set(given[1:])) == 1:  # an index, or the same counted from the end
        return given[1]
    known = [slope for slope in given if slope is not None]
    if len(known) < len(given):
        return None
    if name == "add":
        return known[0] + known[1]
    if name == "sub":
        return known[0] - known[1]
    if name == "neg":
        return -known[0]
    return known[0] if name in _SAME else None
