# SPDX-License-Identifier: BSD-2-Clause
"""Logarithms of sums, of exponentials, of sigmoids and of softmaxes."""

import functools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from spago_jax.compiler.jaxprs import Atom, Literal
from spago_jax.compiler.rewrite import stable
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
from spago_jax.compiler.rewrite.rules import Rules, Use
from spago_jax.compiler.rewrite.view import View, type_of

RULES = Rules()


def _then(function: Any, again: Any) -> Any:
    """Moves the elements, then applies a function of every element."""
    return lambda x, *others: function(again(x, *others))


@RULES.add("log(exp(x))", "log")
def _(view, eqn):
    source, others, again = moved(view, eqn.invars[0])
    x = view.operand(source, "exp")
    return Use("{0}", (x, *others), again) if floats(x) else None


@RULES.add("log(sigmoid(x))", "log")
def _(view, eqn):
    source, others, again = moved(view, eqn.invars[0])
    found = sigmoid_of(view, source)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Use("-softplus({0})", (x, *others), _then(lambda x: -stable.softplus(x), again))
    return Use("log_sigmoid({0})", (x, *others), _then(stable.log_sigmoid, again))


@RULES.add("log(1 - sigmoid(x))", "log")
def _(view, eqn):
    inner = one_minus(view, eqn.invars[0])
    found = None if inner is None else sigmoid_of(view, inner)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Use("log_sigmoid({0})", (x,), stable.log_sigmoid)
    return Use("-softplus({0})", (x,), lambda x: -stable.softplus(x))


@RULES.add("log(softmax(x))", "log")
def _(view, eqn):
    source, others, again = moved(view, eqn.invars[0])
    found = softmax_of(view, source)
    if found is None or not floats(found[0]):
        return None
    x, axes = found
    return Use(
        "log_softmax({0})", (x, *others), lambda x, *others: again(stable.log_softmax(x, axes), *others)
    )  # fmt: skip


@RULES.add("log(a * softmax(x))", "log")
def _(view, eqn):
    source, others, again = moved(view, eqn.invars[0])
    both = view.pair(source, "mul")
    if both is None or not floats(*both):
        return None
    factors = [(atom, softmax_of(view, atom)) for atom in both]
    if all(found is None for _, found in factors):
        return None
    terms = [(found[0] if found else atom, found[1] if found else None) for atom, found in factors]
    names = ["log({%d})" if axes is None else "log_softmax({%d})" for _, axes in terms]

    def function(x: Any, y: Any, *rest: Any) -> Any:
        logs = [
            jnp.log(value) if axes is None else stable.log_softmax(value, axes)
            for value, (_, axes) in zip((x, y), terms, strict=True)
        ]
        return again(logs[0] + logs[1], *rest)

    text = " + ".join(name % i for i, name in enumerate(names))
    return Use(text, (terms[0][0], terms[1][0], *others), function)


@RULES.add("log(sum(exp(x)))", "log")
def _(view, eqn):
    source, others, again = moved(view, eqn.invars[0])
    total = view.made_by(source, "reduce_sum")
    x = None if total is None else view.operand(unconverted(view, total.invars[0]), "exp")
    if total is None or x is None or not floats(x) or takes_off_the_largest(view, x):
        return None
    axes, dtype = tuple(total.params["axes"]), type_of(total.outvars[0]).dtype
    return Use(
        f"logsumexp({{0}}, axes={axes})",
        (x, *others),
        lambda x, *rest: again(stable.logsumexp(x.astype(dtype), axes), *rest),
    )


@RULES.add("log(mean(exp(x)))", "log")
def _(view, eqn):
    source, others, again = moved(view, eqn.invars[0])
    both = view.pair(source, "div", "mul")
    number = None if both is None else view.number(both[1])
    if both is None or number is None or not number > 0:
        return None
    total = view.made_by(both[0], "reduce_sum")
    x = None if total is None else view.operand(unconverted(view, total.invars[0]), "exp")
    if total is None or not floats(x):
        return None
    axes, dtype = tuple(total.params["axes"]), type_of(total.outvars[0]).dtype
    scale = 1 / number if view.made_by(source, "div") else number
    terms = math.prod(type_of(x).shape[axis] for axis in axes)
    if near(scale * terms, 1):
        return Use(
            f"logmeanexp({{0}}, axes={axes})",
            (x, *others),
            lambda x, *rest: again(stable.logmeanexp(x.astype(dtype), axes), *rest),
        )
    shift = float(np.log(scale))
    return Use(
        f"logsumexp({{0}}, axes={axes}) + {shift:g}",
        (x, *others),
        lambda x, *rest: again(stable.logsumexp(x.astype(dtype), axes) + shift, *rest),
    )


@RULES.add("log(1 + exp(x))", "log")
def _(view, eqn):
    power = plus_one(view, eqn.invars[0])
    x = None if power is None else view.operand(power, "exp")
    return Use("softplus({0})", (x,), stable.softplus) if floats(x) else None


@RULES.add("log(1 - exp(x))", "log")
def _(view, eqn):
    power = one_minus(view, eqn.invars[0])
    x = None if power is None else view.operand(power, "exp")
    return Use("log1mexp({0})", (x,), stable.log1mexp) if floats(x) else None


@RULES.add("log(exp(x) - 1)", "log")
def _(view, eqn):
    power = minus_one(view, eqn.invars[0])
    x = view.operand(eqn.invars[0], "expm1") if power is None else view.operand(power, "exp")
    return Use("logexpm1({0})", (x,), stable.logexpm1) if floats(x) else None


@RULES.add("log(exp(x) + exp(y))", "log")
def _(view, eqn):
    exponents = _exponents(view, eqn.invars[0])
    if len(exponents) < 2 or all(isinstance(x, float) for x in exponents) or not floats(eqn.invars[0]):
        return None
    operands = tuple(x for x in exponents if not isinstance(x, float))
    texts = [f"{x:g}" if isinstance(x, float) else f"{{{operands.index(x)}}}" for x in exponents]

    def function(*values: Any) -> Any:
        rest = list(values)
        terms = [x if isinstance(x, float) else rest.pop(0) for x in exponents]
        return functools.reduce(stable.logaddexp, terms)

    return Use(f"logaddexp({', '.join(texts)})", operands, function)


def _exponents(view: View, atom: Atom) -> list[Any]:
    """What the terms of a sum are the exponentials of: values, or floats for positive constants; [] if one is not."""
    if (both := view.pair(atom, "add", "add_any")) is not None:
        left, right = (_exponents(view, term) for term in both)
        return [*left, *right] if left and right else []
    if (x := view.operand(atom, "exp")) is not None:
        return [x]
    number = view.number(atom)
    return [float(np.log(number))] if number is not None and 0 < number < np.inf else []


@RULES.add("log(exp(x) - exp(y))", "log")
def _(view, eqn):
    both = view.pair(eqn.invars[0], "sub")
    if both is None:
        return None
    x, y = (view.operand(term, "exp") for term in both)
    return Use("logsubexp({0}, {1})", (x, y), stable.logsubexp) if floats(x, y) else None


@RULES.add("log(x + sqrt(x^2 + 1))", "log")
def _(view, eqn):
    both = view.pair(eqn.invars[0], "add")
    if both is None:
        return None
    for x, root in (both, both[::-1]):
        inner = view.operand(root, "sqrt")
        square = None if inner is None else plus_one(view, inner)
        base = None if square is None else squared(view, square)
        if base is not None and view.same(base, x) and floats(x):
            return Use("arcsinh({0})", (x,), stable.inverse_hyperbolic_sine)
    return None


@RULES.add("log(1 + x)", "log")
def _(view, eqn):
    x = plus_one(view, eqn.invars[0])
    if not floats(x) or isinstance(x, Literal):
        return None
    inner = None if x is None else negated(view, x)
    if inner is not None:
        return Use("log1p(-{0})", (inner,), lambda x: jnp.log1p(-x))
    return Use("log1p({0})", (x,), jnp.log1p)


@RULES.add("log(1 - x)", "log")
def _(view, eqn):
    x = one_minus(view, eqn.invars[0])
    return Use("log1p(-{0})", (x,), lambda x: jnp.log1p(-x)) if floats(x) else None


@RULES.add("log(x^n)", "log")
def _(view, eqn):
    base = squared(view, eqn.invars[0])
    if base is not None and floats(base):
        return Use("2 log|{0}|", (base,), lambda x: stable.log_abs_power(x, 2))
    power = view.made_by(eqn.invars[0], "integer_pow")
    if power is None or not floats(power.invars[0]) or abs(n := power.params["y"]) < 2:
        return None
    return Use(f"{n} log({{0}})", (power.invars[0],), lambda x: stable.log_abs_power(x, n))


@RULES.add("log1p(exp(x))", "log1p")
def _(view, eqn):
    x = view.operand(eqn.invars[0], "exp")
    return Use("softplus({0})", (x,), stable.softplus) if floats(x) else None


@RULES.add("log1p(-sigmoid(x))", "log1p")
def _(view, eqn):
    inner = negated(view, eqn.invars[0])
    found = None if inner is None else sigmoid_of(view, inner)
    if found is None or not floats(found[0]):
        return None
    x, negative = found
    if negative:
        return Use("log_sigmoid({0})", (x,), stable.log_sigmoid)
    return Use("-softplus({0})", (x,), lambda x: -stable.softplus(x))


@RULES.add("log1p(-exp(x))", "log1p")
def _(view, eqn):
    inner = negated(view, eqn.invars[0])
    x = None if inner is None else view.operand(inner, "exp")
    return Use("log1mexp({0})", (x,), stable.log1mexp) if floats(x) else None
