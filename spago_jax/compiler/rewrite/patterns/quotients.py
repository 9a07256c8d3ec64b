# SPDX-License-Identifier: BSD-2-Clause
"""Quotients whose two sides overflow together: sigmoid, tanh and softmax written by hand, x divided by its length."""

import jax.numpy as jnp

from spago_jax.compiler.jaxprs import Atom
from spago_jax.compiler.rewrite import accurate
from spago_jax.compiler.rewrite.definitions import Definitions
from spago_jax.compiler.rewrite.patterns.forms import (
    floats,
    is_negative_of,
    minus_one,
    one_minus,
    plus_one,
    reduced,
    scaled,
    sigmoid_by_hand,
    softmax_of,
    squared,
    takes_off_the_largest,
    unconverted,
)
from spago_jax.compiler.rewrite.rules import Replacement, Rules

RULES = Rules()
_PASSING = ("broadcast_in_dim", "reshape", "squeeze", "convert_element_type")


@RULES.add("1 / (1 + exp(-x))", "div")
def _(defs, eqn):
    found = sigmoid_by_hand(defs, eqn.outvars[0])
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    return Replacement("sigmoid(-{0})", (x,), lambda x: accurate.sigmoid(-x)) if negative else Replacement(
        "sigmoid({0})", (x,), accurate.sigmoid
    )  # fmt: skip


@RULES.add("exp(x) / sum(exp(x))", "div")
def _(defs, eqn):
    found = softmax_of(defs, eqn.outvars[0])
    exponent = defs.operand(eqn.invars[0], "exp")
    if found is None or exponent is None or not floats(found[0]) or takes_off_the_largest(defs, exponent):
        return None
    x, axes = found
    return Replacement("softmax({0})", (x,), lambda x: accurate.softmax(x, axes))


@RULES.add("sinh(x) / cosh(x)", "div")
def _(defs, eqn):
    """``(e^x - e^-x) / (e^x + e^-x)``, ``(e^2x - 1) / (e^2x + 1)`` and ``(1 - e^-2x) / (1 + e^-2x)``."""
    top, bottom = eqn.invars
    above, below = defs.pair(top, "sub"), defs.pair(bottom, "add")
    if above is not None and below is not None:
        a, b = (defs.operand(term, "exp") for term in above)
        c, d = (defs.operand(term, "exp") for term in below)
        if a is not None and b is not None and c is not None and d is not None and is_negative_of(defs, a, b):
            ordered = defs.same_value(a, c) and defs.same_value(b, d)
            if ordered or (defs.same_value(a, d) and defs.same_value(b, c)):
                return Replacement("tanh({0})", (a,), accurate.tanh) if floats(a) else None
    power = plus_one(defs, bottom)
    x = None if power is None else defs.operand(power, "exp")
    if x is None or not floats(x):
        return None
    raised, lowered = minus_one(defs, top), one_minus(defs, top)
    for side, sign in ((raised, 0.5), (lowered, -0.5)):
        exponent = None if side is None else defs.operand(side, "exp")
        if exponent is not None and defs.same_value(exponent, x):
            return _half_tanh(defs, x, sign)
    exponent = defs.operand(top, "expm1")
    return _half_tanh(defs, x, 0.5) if exponent is not None and defs.same_value(exponent, x) else None


def _half_tanh(defs: Definitions, x: Atom, sign: float) -> Replacement:
    factor, inner = scaled(defs, x)
    if factor * sign == 1:
        return Replacement("tanh({0})", (inner,), accurate.tanh)
    return Replacement(f"tanh({sign:g} {{0}})", (x,), lambda x: accurate.tanh(x * sign))


@RULES.add("exp(x) / exp(y)", "div")
def _(defs, eqn):
    x, y = (defs.operand(atom, "exp") for atom in eqn.invars)
    return Replacement("exp({0} - {1})", (x, y), lambda x, y: jnp.exp(x - y)) if floats(x, y) else None


@RULES.add("(exp(x) - exp(-x)) / 2", "div", "mul")
def _(defs, eqn):
    sides = [eqn.invars] if eqn.primitive.name == "div" else [eqn.invars, eqn.invars[::-1]]
    for top, number in sides:
        half = defs.number(number) == (2 if eqn.primitive.name == "div" else 0.5)
        both = defs.pair(top, "sub") if half else None
        if both is not None:
            x, y = (defs.operand(term, "exp") for term in both)
            if x is not None and y is not None and floats(x) and is_negative_of(defs, x, y):
                return Replacement("sinh({0})", (x,), accurate.hyperbolic_sine)
    return None


@RULES.add("x / sqrt(sum(x^2))", "div", "mul")
def _(defs, eqn):
    root = "sqrt" if eqn.primitive.name == "div" else "rsqrt"
    sides = [eqn.invars] if root == "sqrt" else [eqn.invars, eqn.invars[::-1]]
    for x, length in sides:
        axes = _length_axes(defs, x, length, root)
        if axes is not None and floats(x):
            return Replacement(f"direction({{0}}, axes={axes})", (x,), lambda x, axes=axes: accurate.direction(x, axes))
    return None


def _length_axes(defs: Definitions, x: Atom, length: Atom, root: str) -> tuple[int, ...] | None:
    """Returns the axes over which ``length`` is the root of the sum of squares of x, spread over its shape."""
    moves = length
    while (eqn := defs.definition(moves, *_PASSING)) is not None:
        moves = eqn.invars[0]
    inner = defs.operand(moves, root)
    if inner is None:
        return None
    total = inner  # the sum may have been spread before the root, or after it
    while (eqn := defs.definition(total, *_PASSING)) is not None:
        total = eqn.invars[0]
    eqn = defs.definition(total, "reduce_sum")
    terms = None if eqn is None else unconverted(defs, eqn.invars[0])
    base = None if terms is None else squared(defs, terms)
    if terms is None or base is None or not defs.same_value(base, x):
        return None
    return reduced(_Through(defs, root), length, terms)


class _Through(Definitions):
    """A view in which a root is only one more movement on the way to the sum."""

    def __init__(self, defs: Definitions, root: str):
        self.__dict__.update(defs.__dict__)
        self._root = root

    def definition(self, atom, *primitives):
        """As in ``Definitions``, with the roots left out."""
        eqn = super().definition(atom, *primitives, self._root)
        if eqn is not None and eqn.primitive.name == self._root:
            return self.definition(eqn.invars[0], *primitives)
        return eqn


@RULES.add("x / sqrt(x)", "div")
def _(defs, eqn):
    x, root = eqn.invars
    inner = defs.operand(root, "sqrt")
    return (
        Replacement("sqrt({0})", (x,), jnp.sqrt)
        if inner is not None and floats(x) and defs.same_value(inner, x)
        else None
    )
