# SPDX-License-Identifier: BSD-2-Clause
"""Where the padding lies in what a traced function computes: at the end of an axis, where it can be cut off, or not.

Buckets pad an axis at its end and cut the outputs at the true size. That is right only while the padding stays at the
end: a function that turns the axis round, appends to it, or sorts it leaves the padding elsewhere. The function is
traced at a size and at the next one. The axes that grow are those that hold padding; one walk over both programs
follows it through every equation, and where the two programs differ, or an operation is unknown, nothing is claimed.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.padded.rules import PER_NUMBER, RULES, Case, per_number
from spago_jax.compiler.padded.states import (
    FRONT,
    INSIDE,
    Along,
    Axis,
    ProgramsDiffer,
    State,
    changed,
    combined,
    merged,
    unmoved,
)


def misplaced(base: jaxprs.ClosedJaxpr, grown: jaxprs.ClosedJaxpr) -> list[str]:
    """Returns, for each output, the operation that moves the padding from the end of an axis; empty where none does.

    Args:
        base: the program at some size of the padded dimension.
        grown: the program with that dimension one larger.
    """
    try:
        states = _Walk().run(base, grown, None)
    except ProgramsDiffer:
        return [""] * len(base.jaxpr.outvars)
    return [state.reads or next(filter(None, map(_cause, state.axes)), "") for state in states]


def _cause(axis: Axis) -> str:
    return next((a.cause for _, a in axis if a is not None and a.side in (FRONT, INSIDE)), "")


class _Walk:
    """Follows the padding through two programs at once."""

    def __init__(self) -> None:
        self._place = "place unknown"  # inside of JAX's own functions it is that of the call

    def run(self, base: jaxprs.ClosedJaxpr, grown: jaxprs.ClosedJaxpr, inputs: Sequence[State] | None) -> list[State]:
        """Returns the states of the outputs, given those of the inputs; None: they are padded with zeros."""
        one, two = base.jaxpr, grown.jaxpr
        if len(one.eqns) != len(two.eqns) or len(one.invars) != len(two.invars):
            raise ProgramsDiffer
        if inputs is None:
            fresh = Along(zero=True, positional=True)
            inputs = [unmoved(a, b, fresh) for a, b in zip(one.invars, two.invars, strict=True)]
        states: dict[Any, State] = dict(zip(one.invars, inputs, strict=True))
        for a, b in zip(one.constvars, two.constvars, strict=True):
            states[a] = unmoved(a, b)

        def read(atom: jaxprs.Atom, other: jaxprs.Atom) -> State:
            if not isinstance(atom, jaxprs.Literal):
                return states[atom]
            if not isinstance(other, jaxprs.Literal):
                raise ProgramsDiffer
            return State(unmoved(atom, other).axes, number=(np.asarray(atom.val), np.asarray(other.val)))

        for eqn, other in zip(one.eqns, two.eqns, strict=True):
            if eqn.primitive is not other.primitive or len(eqn.invars) != len(other.invars):
                raise ProgramsDiffer
            given = [read(a, b) for a, b in zip(eqn.invars, other.invars, strict=True)]
            found = self._equation(eqn, other, given)
            states.update(zip(eqn.outvars, found, strict=True))
        return [read(a, b) for a, b in zip(one.outvars, two.outvars, strict=True)]

    def _equation(self, eqn: jaxprs.JaxprEqn, other: jaxprs.JaxprEqn, given: list[State]) -> list[State]:
        around, self._place = self._place, str(jaxprs.place(eqn) or self._place)
        try:
            return self._after(eqn, other, given)
        finally:
            self._place = around

    def _after(self, eqn: jaxprs.JaxprEqn, other: jaxprs.JaxprEqn, given: list[State]) -> list[State]:
        body, grown = jaxprs.call_body(eqn), jaxprs.call_body(other)
        if body is not None and grown is not None:
            return self.run(body, grown, given)
        plain = [unmoved(a, b) for a, b in zip(eqn.outvars, other.outvars, strict=True)]
        name = eqn.primitive.name
        if name == "scan":
            return self._scan(eqn, other, given, plain)
        if (options := jaxprs.branches(eqn)) is not None:
            pairs = zip(options, jaxprs.branches(other) or (), strict=True)
            return [merged(states) for states in zip(*(self.run(a, b, given[1:]) for a, b in pairs), strict=True)]
        rule = RULES.get(name) or (per_number if name in PER_NUMBER else None)
        if rule is None:
            return plain
        reads = next((state.reads for state in given if state.reads), "")
        made = [
            dataclasses.replace(s, reads=s.reads or reads) for s in rule(Case(eqn, other, given, plain, self._place))
        ]
        if name == "select_n" and jaxprs.shape_of(
            eqn.invars[0].aval
        ):  # a mask chose: what it left out may be the padding
            made = [dataclasses.replace(state, reads="", masked=True) for state in made]
        return made

    def _scan(
        self, eqn: jaxprs.JaxprEqn, other: jaxprs.JaxprEqn, given: list[State], plain: list[State]
    ) -> list[State]:
        loop, grown = jaxprs.scan_loop(eqn), jaxprs.scan_loop(other)
        assert loop is not None
        assert grown is not None
        held, slices = loop.constants, loop.constants + loop.carried
        rows = [dataclasses.replace(state, axes=state.axes[1:], number=None) for state in given[slices:]]
        carry = list(given[held:slices])
        for _ in range(4):
            found = self.run(loop.body, grown.body, [*given[:held], *carry, *rows])
            after = [merged(pair) for pair in zip(carry, found[: loop.carried], strict=True)]
            if after == carry:
                break
            carry = after
        else:
            return plain
        along = combined([state.axes[0] for state in given[slices:]])
        ys = []
        for state, place in zip(found[loop.carried :], plain[loop.carried :], strict=True):
            lead = place.axes[0]
            if lead[0][1] is not None and along is not None and along[0][1] is not None:
                lead = changed(along, zero=True, positional=False)
            ys.append(dataclasses.replace(state, axes=(lead, *state.axes), number=None))
        return [*(dataclasses.replace(state, number=None) for state in carry), *ys]
