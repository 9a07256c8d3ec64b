# SPDX-License-Identifier: BSD-2-Clause
"""Roots of sums of squares."""

import jax.numpy as jnp

from spago_jax.compiler.rewrite import stable
from spago_jax.compiler.rewrite.patterns.forms import floats, moved, plus_one, squared, unconverted
from spago_jax.compiler.rewrite.rules import Rules, Use
from spago_jax.compiler.rewrite.view import type_of

RULES = Rules()


@RULES.add("sqrt(sum(x^2))", "sqrt")
def _(view, eqn):
    source, others, again = moved(view, eqn.invars[0])
    total = view.made_by(source, "reduce_sum")
    x = None if total is None else squared(view, unconverted(view, total.invars[0]))
    if total is None or not floats(x):
        return None
    axes, dtype = tuple(total.params["axes"]), type_of(total.outvars[0]).dtype
    return Use(
        f"norm({{0}}, axes={axes})", (x, *others), lambda x, *rest: again(stable.norm(x.astype(dtype), axes), *rest)
    )


@RULES.add("sqrt(x^2 + y^2)", "sqrt")
def _(view, eqn):
    both = view.pair(eqn.invars[0], "add")
    if both is None:
        return None
    x, y = (squared(view, atom) for atom in both)
    return Use("hypot({0}, {1})", (x, y), stable.hypot) if floats(x, y) else None


@RULES.add("sqrt(1 + x^2)", "sqrt")
def _(view, eqn):
    square = plus_one(view, eqn.invars[0])
    x = None if square is None else squared(view, square)
    return Use("hypot(1, {0})", (x,), lambda x: stable.hypot(jnp.ones_like(x), x)) if floats(x) else None


@RULES.add("sqrt(x^2)", "sqrt")
def _(view, eqn):
    x = squared(view, eqn.invars[0])
    return Use("abs({0})", (x,), lambda x: stable.norm(x, ())) if floats(x) else None
