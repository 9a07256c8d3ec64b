# SPDX-License-Identifier: BSD-2-Clause
"""Quotients whose two sides overflow together: sigmoid, tanh and softmax written by hand, x divided by its length."""

import jax.numpy as jnp

from spago_jax.compiler.jaxprs import Atom
from spago_jax.compiler.rewrite import stable
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
from spago_jax.compiler.rewrite.rules import Rules, Use
from spago_jax.compiler.rewrite.view import View

RULES = Rules()
_PASSING = ("broadcast_in_dim", "reshape", "squeeze", "convert_element_type")


@RULES.add("1 / (1 + exp(-x))", "div")
def _(view, eqn):
    found = sigmoid_by_hand(view, eqn.outvars[0])
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    return Use("sigmoid(-{0})", (x,), lambda x: stable.sigmoid(-x)) if negative else Use(
        "sigmoid({0})", (x,), stable.sigmoid
    )  # fmt: skip


@RULES.add("exp(x) / sum(exp(x))", "div")
def _(view, eqn):
    found = softmax_of(view, eqn.outvars[0])
    exponent = view.operand(eqn.invars[0], "exp")
    if found is None or exponent is None or not floats(found[0]) or takes_off_the_largest(view, exponent):
        return None
    x, axes = found
    return Use("softmax({0})", (x,), lambda x: stable.softmax(x, axes))


@RULES.add("sinh(x) / cosh(x)", "div")
def _(view, eqn):
    """``(e^x - e^-x) / (e^x + e^-x)``, ``(e^2x - 1) / (e^2x + 1)`` and ``(1 - e^-2x) / (1 + e^-2x)``."""
    top, bottom = eqn.invars
    above, below = view.pair(top, "sub"), view.pair(bottom, "add")
    if above is not None and below is not None:
        a, b = (view.operand(term, "exp") for term in above)
        c, d = (view.operand(term, "exp") for term in below)
        if a is not None and b is not None and c is not None and d is not None and is_negative_of(view, a, b):
            ordered = view.same(a, c) and view.same(b, d)
            if ordered or (view.same(a, d) and view.same(b, c)):
                return Use("tanh({0})", (a,), stable.tanh) if floats(a) else None
    power = plus_one(view, bottom)
    x = None if power is None else view.operand(power, "exp")
    if x is None or not floats(x):
        return None
    raised, lowered = minus_one(view, top), one_minus(view, top)
    for side, sign in ((raised, 0.5), (lowered, -0.5)):
        exponent = None if side is None else view.operand(side, "exp")
        if exponent is not None and view.same(exponent, x):
            return _half_tanh(view, x, sign)
    exponent = view.operand(top, "expm1")
    return _half_tanh(view, x, 0.5) if exponent is not None and view.same(exponent, x) else None


def _half_tanh(view: View, x: Atom, sign: float) -> Use:
    factor, inner = scaled(view, x)
    if factor * sign == 1:
        return Use("tanh({0})", (inner,), stable.tanh)
    return Use(f"tanh({sign:g} {{0}})", (x,), lambda x: stable.tanh(x * sign))


@RULES.add("exp(x) / exp(y)", "div")
def _(view, eqn):
    x, y = (view.operand(atom, "exp") for atom in eqn.invars)
    return Use("exp({0} - {1})", (x, y), lambda x, y: jnp.exp(x - y)) if floats(x, y) else None


@RULES.add("(exp(x) - exp(-x)) / 2", "div", "mul")
def _(view, eqn):
    sides = [eqn.invars] if eqn.primitive.name == "div" else [eqn.invars, eqn.invars[::-1]]
    for top, number in sides:
        half = view.number(number) == (2 if eqn.primitive.name == "div" else 0.5)
        both = view.pair(top, "sub") if half else None
        if both is not None:
            x, y = (view.operand(term, "exp") for term in both)
            if x is not None and y is not None and floats(x) and is_negative_of(view, x, y):
                return Use("sinh({0})", (x,), stable.hyperbolic_sine)
    return None


@RULES.add("x / sqrt(sum(x^2))", "div", "mul")
def _(view, eqn):
    root = "sqrt" if eqn.primitive.name == "div" else "rsqrt"
    sides = [eqn.invars] if root == "sqrt" else [eqn.invars, eqn.invars[::-1]]
    for x, length in sides:
        axes = _length_axes(view, x, length, root)
        if axes is not None and floats(x):
            return Use(f"direction({{0}}, axes={axes})", (x,), lambda x, axes=axes: stable.direction(x, axes))
    return None


def _length_axes(view: View, x: Atom, length: Atom, root: str) -> tuple[int, ...] | None:
    """The axes over which ``length`` is the root of the sum of squares of x, spread over its shape."""
    moves = length
    while (eqn := view.made_by(moves, *_PASSING)) is not None:
        moves = eqn.invars[0]
    inner = view.operand(moves, root)
    if inner is None:
        return None
    total = inner  # the sum may have been spread before the root, or after it
    while (eqn := view.made_by(total, *_PASSING)) is not None:
        total = eqn.invars[0]
    eqn = view.made_by(total, "reduce_sum")
    terms = None if eqn is None else unconverted(view, eqn.invars[0])
    base = None if terms is None else squared(view, terms)
    if terms is None or base is None or not view.same(base, x):
        return None
    return reduced(_Through(view, root), length, terms)


class _Through(View):
    """A view in which a root is only one more movement on the way to the sum."""

    def __init__(self, view: View, root: str):
        self.__dict__.update(view.__dict__)
        self._root = root

    def made_by(self, atom, *primitives):
        """As in ``View``, with the roots left out."""
        eqn = super().made_by(atom, *primitives, self._root)
        if eqn is not None and eqn.primitive.name == self._root:
            return self.made_by(eqn.invars[0], *primitives)
        return eqn


@RULES.add("x / sqrt(x)", "div")
def _(view, eqn):
    x, root = eqn.invars
    inner = view.operand(root, "sqrt")
    return Use("sqrt({0})", (x,), jnp.sqrt) if inner is not None and floats(x) and view.same(inner, x) else None
