# SPDX-License-Identifier: BSD-2-Clause
"""Which inputs of a traced program reach which outputs, as sets of bits."""

import functools
import operator
from collections.abc import Callable, Sequence

from spago_jax.compiler import jaxprs

# Whether what goes into an equation comes out of its output of that number.
Passes = Callable[[jaxprs.JaxprEqn, int], bool]
# Told of every equation with the bits that go into it, and where it was written.
Listener = Callable[[jaxprs.JaxprEqn, int, "jaxprs.Place | None"], None]


def flow(
    closed: jaxprs.ClosedJaxpr,
    inputs: Sequence[int],
    passes: Passes = lambda eqn, output: True,
    listener: Listener | None = None,
    *,
    custom: bool = True,
    place: jaxprs.Place | None = None,
) -> list[int]:
    """Returns the bits that reach each output.

    Args:
        closed: the program.
        inputs: the bits that each input holds.
        passes: which equations let them through.
        listener: called for every equation that is not a call, loop or branch.
        custom: whether to look into functions with a derivative of their own.
        place: of the call of this program.

    >>> closed, _ = jaxprs.trace(lambda x, y, z: (x + y, z), 1.0, 2.0, 3.0)
    >>> flow(closed, [1, 2, 4])
    [3, 4]
    """
    held: dict[jaxprs.Var, int] = dict.fromkeys(closed.jaxpr.constvars, 0)
    held.update(zip(closed.jaxpr.invars, inputs, strict=True))

    def read(atom: jaxprs.Atom) -> int:
        return 0 if isinstance(atom, jaxprs.Literal) else held[atom]

    for eqn in closed.jaxpr.eqns:
        given = [read(atom) for atom in eqn.invars]
        where = jaxprs.place(eqn) or place

        def inside(body: jaxprs.ClosedJaxpr, values: Sequence[int], where: jaxprs.Place | None = where) -> list[int]:
            return flow(body, values, passes, listener, custom=custom, place=where)

        found = _into(eqn, given, inside, custom)
        if found is None:
            every = _union(given)
            found = [every if passes(eqn, index) else 0 for index in range(len(eqn.outvars))]
            if listener:
                listener(eqn, every, where)
        held.update(zip(eqn.outvars, found, strict=True))
    return [read(atom) for atom in closed.jaxpr.outvars]


def _into(
    eqn: jaxprs.JaxprEqn,
    given: list[int],
    inside: Callable[[jaxprs.ClosedJaxpr, Sequence[int]], list[int]],
    custom: bool,
) -> list[int] | None:
    """Returns the bits that come out of a call, a loop or a branch; None for other equations."""
    body = jaxprs.call_body(eqn, custom=custom)
    if body is not None:
        return inside(body, given)
    if loop := jaxprs.scan_loop(eqn):
        split = loop.constants + loop.carried
        fixed, carry, elements = given[: loop.constants], given[loop.constants : split], given[split:]
        while True:  # until no step adds anything
            found = inside(loop.body, [*fixed, *carry, *elements])
            grown = [old | new for old, new in zip(carry, found, strict=False)]
            if grown == carry:
                return [*carry, *found[loop.carried :]]
            carry = grown
    if parts := jaxprs.while_loop(eqn):
        condition, first, body, second = parts
        carry = given[first + second :]
        while True:
            found = inside(body, [*given[first : first + second], *carry])
            asked = inside(condition, [*given[:first], *carry])[0]  # how often it runs decides what comes out
            grown = [old | new | asked for old, new in zip(carry, found, strict=True)]
            if grown == carry:
                return carry
            carry = grown
    if several := jaxprs.branches(eqn):
        each = [inside(branch, given[1:]) for branch in several]
        return [given[0] | _union(bits) for bits in zip(*each, strict=True)]
    return None


def _union(bits: Sequence[int]) -> int:
    return functools.reduce(operator.or_, bits, 0)
