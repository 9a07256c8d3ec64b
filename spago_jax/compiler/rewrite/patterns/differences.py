# SPDX-License-Identifier: BSD-2-Clause
"""Differences that cancel, and products of exponentials."""

import jax.numpy as jnp

from spago_jax.compiler.rewrite import accurate
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
from spago_jax.compiler.rewrite.rules import Replacement, Rules

RULES = Rules()


@RULES.add("2 sigmoid(2x) - 1", "sub", "add")
def _(defs, eqn):
    twice = minus_one(defs, eqn.outvars[0])
    if twice is None:
        return None
    factor, probability = scaled(defs, twice)
    found = sigmoid_of(defs, probability) if factor == 2 else sigmoid_by_hand(defs, twice, 2)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    half = -0.5 if negative else 0.5
    if scaled(defs, x)[0] * half == 1:
        return Replacement("tanh({0})", (scaled(defs, x)[1],), accurate.tanh)
    return Replacement(f"tanh({half:g} {{0}})", (x,), lambda x: accurate.tanh(x * half))


@RULES.add("exp(x) - 1", "sub", "add")
def _(defs, eqn):
    power = minus_one(defs, eqn.outvars[0])
    x = None if power is None else defs.operand(power, "exp")
    return Replacement("expm1({0})", (x,), accurate.expm1) if floats(x) else None


@RULES.add("1 - exp(x)", "sub", "add")
def _(defs, eqn):
    power = one_minus(defs, eqn.outvars[0])
    x = None if power is None else defs.operand(power, "exp")
    return Replacement("-expm1({0})", (x,), lambda x: -accurate.expm1(x)) if floats(x) else None


@RULES.add("1 - sigmoid(x)", "sub", "add")
def _(defs, eqn):
    inner = one_minus(defs, eqn.outvars[0])
    found = None if inner is None else sigmoid_of(defs, inner)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Replacement("sigmoid({0})", (x,), accurate.sigmoid)
    return Replacement("sigmoid(-{0})", (x,), lambda x: accurate.sigmoid(-x))


@RULES.add("1 - tanh(x)^2", "sub", "add")
def _(defs, eqn):
    square = one_minus(defs, eqn.outvars[0])
    y = None if square is None else squared(defs, square)
    x = None if y is None else defs.operand(y, "tanh")
    return Replacement("sech({0})^2", (x,), accurate.sech_squared) if floats(x) else None


@RULES.add("1 - cos(x)", "sub", "add")
def _(defs, eqn):
    inner = one_minus(defs, eqn.outvars[0])
    x = None if inner is None else defs.operand(inner, "cos")
    return Replacement("2 sin({0} / 2)^2", (x,), accurate.cosine_defect) if floats(x) else None


@RULES.add("1 - x^2", "sub", "add")
def _(defs, eqn):
    square = one_minus(defs, eqn.outvars[0])
    x = None if square is None else squared(defs, square)
    return Replacement("(1 - {0}) (1 + {0})", (x,), accurate.one_minus_square) if floats(x) else None


@RULES.add("x^2 - y^2", "sub")
def _(defs, eqn):
    x, y = (squared(defs, atom) for atom in eqn.invars)
    return Replacement("({0} - {1}) ({0} + {1})", (x, y), accurate.difference_of_squares) if floats(x, y) else None


@RULES.add("-(-x)", "neg")
def _(defs, eqn):
    x = negated(defs, eqn.invars[0])
    return Replacement("{0}", (x,)) if floats(x) else None


@RULES.add("exp(x) * exp(y)", "mul")
def _(defs, eqn):
    x, y = (defs.operand(atom, "exp") for atom in eqn.invars)
    if not floats(x, y):
        return None
    return Replacement("exp({0} + {1})", (x, y), lambda x, y: jnp.exp(x + y))


@RULES.add("x * log(x)", "mul")
def _(defs, eqn):
    for x, log in (eqn.invars, eqn.invars[::-1]):
        inner = defs.operand(log, "log")
        if inner is None or not defs.same_value(inner, x) or not floats(x):
            continue
        better = any(
            rule.match(defs, eqn) for rule in logarithms.RULES.at("log") if (eqn := defs.definition(log, "log"))
        )
        return None if better else Replacement("x_log_x({0})", (x,), accurate.x_log_x)
    return None
