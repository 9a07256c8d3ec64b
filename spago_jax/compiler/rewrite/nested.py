# SPDX-License-Identifier: BSD-2-Clause
"""Rewriting the programs inside loops, branches and calls."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.jaxprs import ClosedJaxpr, JaxprEqn, Var
from spago_jax.compiler.rewrite.definitions import Definitions, type_of

# A function with a derivative of its own is left as it is: its body and its derivative belong together.
_CLOSED = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin", "pallas_call")
_OPEN = ("scan", "while", "cond", "jit", "pjit", "closed_call", "checkpoint", "remat", "remat2")
INLINE_LIMIT = 64  # equations; a longer body that is called more than once stays a call, compiled once

Transform = Callable[[ClosedJaxpr, Mapping[Var, np.ndarray]], ClosedJaxpr]


def inline_calls(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Returns the program with its plain calls written out, but for long ones that are called several times."""
    uses: dict[int, int] = {}
    _count_uses(closed, uses)

    def rule(eqn: JaxprEqn, given: list[Any]) -> Sequence[Any] | None:
        if not jaxprs.is_plain_call(eqn):
            return None
        body = jaxprs.call_body(eqn)
        if body is None or (len(body.jaxpr.eqns) > INLINE_LIMIT and uses[id(body.jaxpr)] > 1):
            return None
        with jaxprs.located(eqn):
            return jaxprs.run(body, given, rule)

    return jaxprs.retrace(closed, rule)


def _count_uses(closed: ClosedJaxpr, uses: dict[int, int]) -> None:
    for eqn in closed.jaxpr.eqns:
        if jaxprs.is_plain_call(eqn) and (body := jaxprs.call_body(eqn)) is not None:
            uses[id(body.jaxpr)] = uses.get(id(body.jaxpr), 0) + 1
            _count_uses(body, uses)


def descend(eqn: JaxprEqn, given: list[Any], defs: Definitions, transform: Transform) -> Sequence[Any] | None:
    """Runs an equation with the programs inside it transformed; None where there is none, or nothing changed."""
    if eqn.primitive.name not in _OPEN:
        return None
    changed: dict[str, ClosedJaxpr] = {}
    for name, body in jaxprs.subprograms(eqn).items():
        new = transform(body, _known(eqn, name, body, defs))
        if new is not body and _fits(eqn, body, new):
            changed[name] = new
    return jaxprs.rebind(eqn, given, changed) if changed else None


def operation_count(closed: ClosedJaxpr) -> int:
    """Returns the number of operations, those inside loops and branches among them; a call counts as its body."""
    return sum(operations_in(eqn) for eqn in closed.jaxpr.eqns)


def operations_in(eqn: JaxprEqn) -> int:
    """Returns the number of operations of one equation: see ``count``."""
    inside = [] if eqn.primitive.name in _CLOSED else list(jaxprs.subprograms(eqn).values())
    called = bool(inside) and jaxprs.call_body(eqn) is not None
    return sum(operation_count(body) for body in inside) + (not called)


def _known(eqn: JaxprEqn, name: str, body: ClosedJaxpr, defs: Definitions) -> dict[Var, np.ndarray]:
    """Returns the inputs of a body whose values are known and the same at every step."""
    inputs = body.jaxpr.invars
    if (loop := jaxprs.scan_loop(eqn)) is not None:
        outer, inner = eqn.invars[: loop.constants], inputs[: loop.constants]
    elif (loop := jaxprs.while_loop(eqn)) is not None:
        _, test, _, step = loop
        start, length = (0, test) if name == "cond_jaxpr" else (test, step)
        outer, inner = eqn.invars[start : start + length], inputs[:length]
    elif jaxprs.branches(eqn) is not None:
        outer, inner = eqn.invars[1:], inputs
    else:
        outer, inner = eqn.invars, inputs
    values: dict[Var, np.ndarray] = {}
    for there, here in zip(outer, inner, strict=False):
        value = defs.constant(there)
        if value is None and (number := defs.number(there)) is not None:
            value = np.asarray(number, type_of(there).dtype)
        if value is not None and type_of(here).shape == type_of(there).shape:
            values[here] = value
    return values


def _fits(eqn: JaxprEqn, old: ClosedJaxpr, new: ClosedJaxpr) -> bool:
    """Whether a rewritten body can take the place of the old one, and holds no array that the old one did not."""
    same = [_signature(v) for v in old.jaxpr.outvars] == [_signature(v) for v in new.jaxpr.outvars]
    return same and len(new.consts) <= len(old.consts)


def _signature(var: Var) -> tuple[Any, ...]:
    aval = type_of(var)
    return aval.shape, aval.dtype, getattr(aval, "weak_type", False)
