# SPDX-License-Identifier: BSD-2-Clause
"""Logarithms of sums, of exponentials, of sigmoids and of softmaxes."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.jaxprs import Atom, Literal
from spago_jax.compiler.rewrite import accurate
from spago_jax.compiler.rewrite.definitions import Definitions, type_of
from spago_jax.compiler.rewrite.patterns.forms import (
    floats,
    minus_one,
    moved,
    near,
    negated,
    one_minus,
    plus_one,
    sigmoid_of,
    softmax_of,
    squared,
    takes_off_the_largest,
    unconverted,
)
from spago_jax.compiler.rewrite.rules import Replacement, Rules
from spago_jax.core import Array

RULES = Rules()


def _then(function: Callable[..., Any], again: Callable[..., Any]) -> Callable[..., Any]:
    """Moves the elements, then applies a function of every element."""
    return lambda x, *others: function(again(x, *others))


@RULES.add("log(exp(x))", "log")
def _(defs, eqn):
    source, others, again = moved(defs, eqn.invars[0])
    x = defs.operand(source, "exp")
    return Replacement("{0}", (x, *others), again) if floats(x) else None


@RULES.add("log(sigmoid(x))", "log")
def _(defs, eqn):
    source, others, again = moved(defs, eqn.invars[0])
    found = sigmoid_of(defs, source)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Replacement("-softplus({0})", (x, *others), _then(lambda x: -accurate.softplus(x), again))
    return Replacement("log_sigmoid({0})", (x, *others), _then(accurate.log_sigmoid, again))


@RULES.add("log(1 - sigmoid(x))", "log")
def _(defs, eqn):
    inner = one_minus(defs, eqn.invars[0])
    found = None if inner is None else sigmoid_of(defs, inner)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Replacement("log_sigmoid({0})", (x,), accurate.log_sigmoid)
    return Replacement("-softplus({0})", (x,), lambda x: -accurate.softplus(x))


@RULES.add("log(softmax(x))", "log")
def _(defs, eqn):
    source, others, again = moved(defs, eqn.invars[0])
    found = softmax_of(defs, source)
    if found is None or not floats(found[0]):
        return None
    x, axes = found
    return Replacement(
        "log_softmax({0})", (x, *others), lambda x, *others: again(accurate.log_softmax(x, axes), *others)
    )  # fmt: skip


@RULES.add("log(a * softmax(x))", "log")
def _(defs, eqn):
    source, others, again = moved(defs, eqn.invars[0])
    both = defs.pair(source, "mul")
    if both is None or not floats(*both):
        return None
    factors = [(atom, softmax_of(defs, atom)) for atom in both]
    if all(found is None for _, found in factors):
        return None
    terms = [(found[0] if found else atom, found[1] if found else None) for atom, found in factors]
    names = ["log({%d})" if axes is None else "log_softmax({%d})" for _, axes in terms]

    def function(x: Array, y: Array, *rest: Any) -> Any:
        logs = [
            jnp.log(value) if axes is None else accurate.log_softmax(value, axes)
            for value, (_, axes) in zip((x, y), terms, strict=True)
        ]
        return again(logs[0] + logs[1], *rest)

    text = " + ".join(name % i for i, name in enumerate(names))
    return Replacement(text, (terms[0][0], terms[1][0], *others), function)


@RULES.add("log(sum(exp(x)))", "log")
def _(defs, eqn):
    source, others, again = moved(defs, eqn.invars[0])
    total = defs.definition(source, "reduce_sum")
    x = None if total is None else defs.operand(unconverted(defs, total.invars[0]), "exp")
    if total is None or x is None or not floats(x) or takes_off_the_largest(defs, x):
        return None
    axes, dtype = tuple(total.params["axes"]), type_of(total.outvars[0]).dtype
    return Replacement(
        f"logsumexp({{0}}, axes={axes})",
        (x, *others),
        lambda x, *rest: again(accurate.logsumexp(x.astype(dtype), axes), *rest),
    )


@RULES.add("log(mean(exp(x)))", "log")
def _(defs, eqn):
    source, others, again = moved(defs, eqn.invars[0])
    both = defs.pair(source, "div", "mul")
    number = None if both is None else defs.number(both[1])
    if both is None or number is None or not number > 0:
        return None
    total = defs.definition(both[0], "reduce_sum")
    x = None if total is None else defs.operand(unconverted(defs, total.invars[0]), "exp")
    if total is None or x is None or not floats(x):
        return None
    axes, dtype = tuple(total.params["axes"]), type_of(total.outvars[0]).dtype
    scale = 1 / number if defs.definition(source, "div") else number
    terms = math.prod(type_of(x).shape[axis] for axis in axes)
    if near(scale * terms, 1):
        return Replacement(
            f"logmeanexp({{0}}, axes={axes})",
            (x, *others),
            lambda x, *rest: again(accurate.logmeanexp(x.astype(dtype), axes), *rest),
        )
    shift = float(np.log(scale))
    return Replacement(
        f"logsumexp({{0}}, axes={axes}) + {shift:g}",
        (x, *others),
        lambda x, *rest: again(accurate.logsumexp(x.astype(dtype), axes) + shift, *rest),
    )


@RULES.add("log(1 + exp(x))", "log")
def _(defs, eqn):
    power = plus_one(defs, eqn.invars[0])
    x = None if power is None else defs.operand(power, "exp")
    return Replacement("softplus({0})", (x,), accurate.softplus) if floats(x) else None


@RULES.add("log(1 - exp(x))", "log")
def _(defs, eqn):
    power = one_minus(defs, eqn.invars[0])
    x = None if power is None else defs.operand(power, "exp")
    return Replacement("log1mexp({0})", (x,), accurate.log1mexp) if floats(x) else None


@RULES.add("log(exp(x) - 1)", "log")
def _(defs, eqn):
    power = minus_one(defs, eqn.invars[0])
    x = defs.operand(eqn.invars[0], "expm1") if power is None else defs.operand(power, "exp")
    return Replacement("logexpm1({0})", (x,), accurate.logexpm1) if floats(x) else None


@RULES.add("log(exp(x) + exp(y))", "log")
def _(defs, eqn):
    exponents = _exponents(defs, eqn.invars[0])
    if len(exponents) < 2 or all(isinstance(x, float) for x in exponents) or not floats(eqn.invars[0]):
        return None
    operands = tuple(x for x in exponents if not isinstance(x, float))
    texts = [f"{x:g}" if isinstance(x, float) else f"{{{operands.index(x)}}}" for x in exponents]

    def function(*values: Any) -> Any:
        rest = list(values)
        terms = [x if isinstance(x, float) else rest.pop(0) for x in exponents]
        return functools.reduce(accurate.logaddexp, terms)

    return Replacement(f"logaddexp({', '.join(texts)})", operands, function)


def _exponents(defs: Definitions, atom: Atom) -> list[Any]:
    """What the terms of a sum are the exponentials of: values, or floats for positive constants; [] if one is not."""
    if (both := defs.pair(atom, "add", "add_any")) is not None:
        left, right = (_exponents(defs, term) for term in both)
        return [*left, *right] if left and right else []
    if (x := defs.operand(atom, "exp")) is not None:
        return [x]
    number = defs.number(atom)
    return [float(np.log(number))] if number is not None and 0 < number < np.inf else []


@RULES.add("log(exp(x) - exp(y))", "log")
def _(defs, eqn):
    both = defs.pair(eqn.invars[0], "sub")
    if both is None:
        return None
    x, y = (defs.operand(term, "exp") for term in both)
    return Replacement("logsubexp({0}, {1})", (x, y), accurate.logsubexp) if floats(x, y) else None


@RULES.add("log(x + sqrt(x^2 + 1))", "log")
def _(defs, eqn):
    both = defs.pair(eqn.invars[0], "add")
    if both is None:
        return None
    for x, root in (both, both[::-1]):
        inner = defs.operand(root, "sqrt")
        square = None if inner is None else plus_one(defs, inner)
        base = None if square is None else squared(defs, square)
        if base is not None and defs.same_value(base, x) and floats(x):
            return Replacement("arcsinh({0})", (x,), accurate.inverse_hyperbolic_sine)
    return None


@RULES.add("log(1 + x)", "log")
def _(defs, eqn):
    x = plus_one(defs, eqn.invars[0])
    if not floats(x) or isinstance(x, Literal):
        return None
    inner = None if x is None else negated(defs, x)
    if inner is not None:
        return Replacement("log1p(-{0})", (inner,), lambda x: jnp.log1p(-x))
    return Replacement("log1p({0})", (x,), jnp.log1p)


@RULES.add("log(1 - x)", "log")
def _(defs, eqn):
    x = one_minus(defs, eqn.invars[0])
    return Replacement("log1p(-{0})", (x,), lambda x: jnp.log1p(-x)) if floats(x) else None


@RULES.add("log(x^n)", "log")
def _(defs, eqn):
    base = squared(defs, eqn.invars[0])
    if base is not None and floats(base):
        return Replacement("2 log|{0}|", (base,), lambda x: accurate.log_abs_power(x, 2))
    power = defs.definition(eqn.invars[0], "integer_pow")
    if power is None or not floats(power.invars[0]) or abs(n := power.params["y"]) < 2:
        return None
    return Replacement(f"{n} log({{0}})", (power.invars[0],), lambda x: accurate.log_abs_power(x, n))


@RULES.add("log1p(exp(x))", "log1p")
def _(defs, eqn):
    x = defs.operand(eqn.invars[0], "exp")
    return Replacement("softplus({0})", (x,), accurate.softplus) if floats(x) else None


@RULES.add("log1p(-sigmoid(x))", "log1p")
def _(defs, eqn):
    inner = negated(defs, eqn.invars[0])
    found = None if inner is None else sigmoid_of(defs, inner)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Replacement("log_sigmoid({0})", (x,), accurate.log_sigmoid)
    return Replacement("-softplus({0})", (x,), lambda x: -accurate.softplus(x))


@RULES.add("log1p(-exp(x))", "log1p")
def _(defs, eqn):
    inner = negated(defs, eqn.invars[0])
    x = None if inner is None else defs.operand(inner, "exp")
    return Replacement("log1mexp({0})", (x,), accurate.log1mexp) if floats(x) else None
