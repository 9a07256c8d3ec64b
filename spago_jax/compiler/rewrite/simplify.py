# SPDX-License-Identifier: BSD-2-Clause
"""simplify: the same values, bit for bit, by fewer operations."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.jaxprs import ClosedJaxpr, JaxprEqn, Var
from spago_jax.compiler.rewrite import movements
from spago_jax.compiler.rewrite.definitions import Definitions
from spago_jax.compiler.rewrite.folding import fold
from spago_jax.compiler.rewrite.nested import descend, inline_calls, operation_count, operations_in
from spago_jax.compiler.rewrite.report import Rewrite
from spago_jax.compiler.rewrite.rules import Pass

_MOST_PASSES = 50  # each pass makes the program smaller, or simpler, so this is never met; it bounds a mistake


_Done = dict[tuple[Any, ...], tuple[ClosedJaxpr, ClosedJaxpr]]  # bodies, kept alive, and what became of them


class Simplified(NamedTuple):
    """A simplified program, what was done, and the number of operations before and after."""

    closed: ClosedJaxpr
    rewrites: tuple[Rewrite, ...]
    before: int
    after: int


def simplify(closed: ClosedJaxpr, names: Sequence[str] = ()) -> Simplified:
    """Dead code, common sub-expressions, constants and algebraic identities, to a fixed point.

    Values are equal bit for bit when the operations are run one by one, but for denormal numbers, which a backend
    that flushes them (XLA on CPU does) flushes in fewer places. The derivative of a simplified program is that of the
    original up to rounding: where two equal values have become one, their cotangents are added before they are
    multiplied. Simplify the gradient graph instead, and that is bit for bit too.

    Args:
        closed: the program.
        names: of its inputs, for the report.
    """
    before = operation_count(closed)
    rewrites: list[Rewrite] = []
    closed = _simplified(closed, {}, rewrites, names, {})
    return Simplified(closed, tuple(rewrites), before, operation_count(closed))


def _simplified(
    closed: ClosedJaxpr,
    known: Mapping[Var, np.ndarray],
    rewrites: list[Rewrite],
    names: Sequence[str],
    done: _Done,
) -> ClosedJaxpr:
    start = len(rewrites)
    inputs = closed.jaxpr.invars
    flat = inline_calls(closed)
    for _ in range(_MOST_PASSES):
        found = len(rewrites)
        at = dict(zip(inputs, flat.jaxpr.invars, strict=True))
        flat = _one_pass(flat, {at[var]: value for var, value in known.items()}, rewrites, names, done)
        if len(rewrites) == found:
            break
    changed = len(rewrites) > start
    return flat if changed else closed


def _one_pass(
    closed: ClosedJaxpr,
    known: Mapping[Var, np.ndarray],
    rewrites: list[Rewrite],
    names: Sequence[str],
    done: _Done,
) -> ClosedJaxpr:
    closed = _without_dead(closed, rewrites, names)
    defs = Definitions(closed, names, known)
    step = Pass(defs, movements.IDENTITIES, rewrites)
    outputs: dict[int, list[Any]] = {}  # of equations that were met, by identity

    def body(inner: ClosedJaxpr, values: Mapping[Var, np.ndarray]) -> ClosedJaxpr:
        """Simplified once: what comes out is simple, and is remembered as such."""
        where = [(i, values[var].tobytes()) for i, var in enumerate(inner.jaxpr.invars) if var in values]
        key = (id(inner), *where)
        if key not in done:
            new = _simplified(inner, values, rewrites, (), done)
            done[key] = (inner, new)
            done[(id(new), *where)] = (new, new)
        return done[key][1]

    def rule(eqn: JaxprEqn, given: list[Any]) -> Sequence[Any] | None:
        step.record_inputs(eqn, given)
        found = _rewritten(eqn, given)
        outputs[id(eqn)] = list(found)
        return found

    def _rewritten(eqn: JaxprEqn, given: list[Any]) -> Sequence[Any]:
        folded = fold(defs, eqn)
        if folded is not None:
            step.report("constant folding", eqn, " ".join(_short(value) for value in folded))
            return folded
        used = step.apply(eqn)
        if used is not None:
            return used
        first = defs.representative(eqn)
        if first is not eqn and id(first) in outputs:
            step.report("common sub-expression", eqn, "computed before")
            return outputs[id(first)]
        nested = descend(eqn, given, defs, body)
        return jaxprs.bind(eqn, given) if nested is None else nested

    return jaxprs.retrace(closed, rule)


def _without_dead(closed: ClosedJaxpr, rewrites: list[Rewrite], names: Sequence[str]) -> ClosedJaxpr:
    used = jaxprs.used_equations(closed)
    defs = Definitions(closed, names)
    dead = [eqn for index, eqn in enumerate(closed.jaxpr.eqns) if index not in used]
    rewrites.extend(Rewrite("dead code", jaxprs.place(eqn), defs.equation(eqn), "") for eqn in dead)
    new = jaxprs.without_dead(closed)
    inside = operation_count(closed) - operation_count(new) - sum(operations_in(eqn) for eqn in dead)
    if inside > 0:
        rewrites.append(Rewrite("dead code inside loops and branches", None, f"{inside} operations", ""))
    return new


def _short(value: object) -> str:
    array = np.asarray(value)
    return f"{array.item():g}" if array.size == 1 and array.dtype.kind == "f" else np.array2string(array, threshold=6)
