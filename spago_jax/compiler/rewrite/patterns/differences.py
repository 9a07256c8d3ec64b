# SPDX-License-Identifier: BSD-2-Clause
"""Differences that cancel, and products of exponentials."""

import jax.numpy as jnp

from spago_jax.compiler.rewrite import stable
from spago_jax.compiler.rewrite.patterns import logarithms
from spago_jax.compiler.rewrite.patterns.forms import (
    floats,
    minus_one,
    negated,
    one_minus,
    scaled,
    sigmoid_by_hand,
    sigmoid_of,
    squared,
)
from spago_jax.compiler.rewrite.rules import Rules, Use

RULES = Rules()


@RULES.add("2 sigmoid(2x) - 1", "sub", "add")
def _(view, eqn):
    twice = minus_one(view, eqn.outvars[0])
    if twice is None:
        return None
    factor, probability = scaled(view, twice)
    found = sigmoid_of(view, probability) if factor == 2 else sigmoid_by_hand(view, twice, 2)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    half = -0.5 if negative else 0.5
    if scaled(view, x)[0] * half == 1:
        return Use("tanh({0})", (scaled(view, x)[1],), stable.tanh)
    return Use(f"tanh({half:g} {{0}})", (x,), lambda x: stable.tanh(x * half))


@RULES.add("exp(x) - 1", "sub", "add")
def _(view, eqn):
    power = minus_one(view, eqn.outvars[0])
    x = None if power is None else view.operand(power, "exp")
    return Use("expm1({0})", (x,), stable.expm1) if floats(x) else None


@RULES.add("1 - exp(x)", "sub", "add")
def _(view, eqn):
    power = one_minus(view, eqn.outvars[0])
    x = None if power is None else view.operand(power, "exp")
    return Use("-expm1({0})", (x,), lambda x: -stable.expm1(x)) if floats(x) else None


@RULES.add("1 - sigmoid(x)", "sub", "add")
def _(view, eqn):
    inner = one_minus(view, eqn.outvars[0])
    found = None if inner is None else sigmoid_of(view, inner)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Use("sigmoid({0})", (x,), stable.sigmoid)
    return Use("sigmoid(-{0})", (x,), lambda x: stable.sigmoid(-x))


@RULES.add("1 - tanh(x)^2", "sub", "add")
def _(view, eqn):
    square = one_minus(view, eqn.outvars[0])
    y = None if square is None else squared(view, square)
    x = None if y is None else view.operand(y, "tanh")
    return Use("sech({0})^2", (x,), stable.sech_squared) if floats(x) else None


@RULES.add("1 - cos(x)", "sub", "add")
def _(view, eqn):
    inner = one_minus(view, eqn.outvars[0])
    x = None if inner is None else view.operand(inner, "cos")
    return Use("2 sin({0} / 2)^2", (x,), stable.cosine_defect) if floats(x) else None


@RULES.add("1 - x^2", "sub", "add")
def _(view, eqn):
    square = one_minus(view, eqn.outvars[0])
    x = None if square is None else squared(view, square)
    return Use("(1 - {0}) (1 + {0})", (x,), stable.one_minus_square) if floats(x) else None


@RULES.add("x^2 - y^2", "sub")
def _(view, eqn):
    x, y = (squared(view, atom) for atom in eqn.invars)
    return Use("({0} - {1}) ({0} + {1})", (x, y), stable.difference_of_squares) if floats(x, y) else None


@RULES.add("-(-x)", "neg")
def _(view, eqn):
    x = negated(view, eqn.invars[0])
    return Use("{0}", (x,)) if floats(x) else None


@RULES.add("exp(x) * exp(y)", "mul")
def _(view, eqn):
    x, y = (view.operand(atom, "exp") for atom in eqn.invars)
    if not floats(x, y):
        return None
    return Use("exp({0} + {1})", (x, y), lambda x, y: jnp.exp(x + y))


@RULES.add("x * log(x)", "mul")
def _(view, eqn):
    for x, log in (eqn.invars, eqn.invars[::-1]):
        inner = view.operand(log, "log")
        if inner is None or not view.same(inner, x) or not floats(x):
            continue
        better = any(rule.match(view, eqn) for rule in logarithms.RULES.at("log") if (eqn := view.made_by(log, "log")))
        return None if better else Use("x_log_x({0})", (x,), stable.x_log_x)
    return None
