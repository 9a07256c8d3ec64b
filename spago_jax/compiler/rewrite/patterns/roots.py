# SPDX-License-Identifier: BSD-2-Clause
"""Roots of sums of squares."""

import jax.numpy as jnp

from spago_jax.compiler.rewrite import accurate
from spago_jax.compiler.rewrite.definitions import type_of
from spago_jax.compiler.rewrite.patterns.forms import floats, moved, plus_one, squared, unconverted
from spago_jax.compiler.rewrite.rules import Replacement, Rules

RULES = Rules()


@RULES.add("sqrt(sum(x^2))", "sqrt")
def _(defs, eqn):
    source, others, again = moved(defs, eqn.invars[0])
    total = defs.definition(source, "reduce_sum")
    x = None if total is None else squared(defs, unconverted(defs, total.invars[0]))
    if total is None or not floats(x):
        return None
    axes, dtype = tuple(total.params["axes"]), type_of(total.outvars[0]).dtype
    return Replacement(
        f"norm({{0}}, axes={axes})", (x, *others), lambda x, *rest: again(accurate.norm(x.astype(dtype), axes), *rest)
    )


@RULES.add("sqrt(x^2 + y^2)", "sqrt")
def _(defs, eqn):
    both = defs.pair(eqn.invars[0], "add")
    if both is None:
        return None
    x, y = (squared(defs, atom) for atom in both)
    return Replacement("hypot({0}, {1})", (x, y), accurate.hypot) if floats(x, y) else None


@RULES.add("sqrt(1 + x^2)", "sqrt")
def _(defs, eqn):
    square = plus_one(defs, eqn.invars[0])
    x = None if square is None else squared(defs, square)
    return Replacement("hypot(1, {0})", (x,), lambda x: accurate.hypot(jnp.ones_like(x), x)) if floats(x) else None


@RULES.add("sqrt(x^2)", "sqrt")
def _(defs, eqn):
    x = squared(defs, eqn.invars[0])
    return Replacement("abs({0})", (x,), lambda x: accurate.norm(x, ())) if floats(x) else None
