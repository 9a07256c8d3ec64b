# SPDX-License-Identifier: BSD-2-Clause
"""Algebraic identities that hold bit for bit in floating point, and those that are refused because they do not."""

import math

import jax.numpy as jnp
from jax import lax

from spago_jax.compiler.jaxprs import Atom, JaxprEqn
from spago_jax.compiler.rewrite.definitions import Definitions, type_of
from spago_jax.compiler.rewrite.rules import Replacement, Rules, is_float, same_type

IDENTITIES = Rules()

REFUSED: dict[str, str] = {
    "x + 0.0 = x": "-0.0 + 0.0 is 0.0; taken only where x cannot be -0.0 (exp, abs, squares), and x + -0.0 always",
    "x * 0 = 0": "inf * 0 and nan * 0 are nan, and -1 * 0.0 is -0.0; taken for integers only",
    "x - x = 0": "inf - inf and nan - nan are nan; taken for integers only",
    "x / x = 1": "0 / 0, inf / inf and nan / nan are nan",
    "0 / x = 0": "0 / 0 is nan, and 0 / -1 is -0.0",
    "-(x - y) = y - x": "for x = y the left is -0.0 and the right 0.0",
    "(x + y) + z = x + (y + z)": "rounding depends on the order",
    "x * y + x * z = x * (y + z)": "one rounding less",
    "x * (1 / y) = x / y": "one rounding less",
    "x ** 2.0 = x * x": "the power function of the backend is one unit off for one number in a thousand",
    "x ** 0.5 = sqrt(x)": "as above, and (-0.0) ** 0.5 is 0.0 where sqrt(-0.0) is -0.0",
    "sqrt(x) * sqrt(x) = x": "two roundings, and nan below 0",
    "exp(log(x)) = x, log(exp(x)) = x": "rounding and overflow; log(exp(x)) is a rule of stabilize()",
    "x == x is true": "nan is not equal to itself; taken for integers only",
    "abs(-x) = abs(x)": "the derivative at 0 changes its sign of zero",
    "max(x, -inf) = x": "max(nan, -inf) is nan on every backend, but the derivative splits where x is -inf",
}


def _zero(defs: Definitions, atom: Atom, *, sign: float) -> bool:
    number = defs.number(atom)
    return number == 0 and math.copysign(1, number) == sign


def _alias(eqn: JaxprEqn, atom: Atom) -> Replacement | None:
    return Replacement("{0}", (atom,)) if same_type(eqn.outvars[0], atom) else None


def _never_negative_zero(defs: Definitions, atom: Atom) -> bool:
    eqn = defs.definition(atom, "exp", "logistic", "abs", "square", "integer_pow", "cosh", "mul", "broadcast_in_dim")
    if eqn is None:
        return False
    name = eqn.primitive.name
    if name == "integer_pow":
        return eqn.params["y"] % 2 == 0
    if name == "mul":
        return defs.same_value(eqn.invars[0], eqn.invars[1])
    return _never_negative_zero(defs, eqn.invars[0]) if name == "broadcast_in_dim" else True


@IDENTITIES.add("x + 0", "add", "add_any")
def _(defs, eqn):
    a, b = eqn.invars
    for x, zero in ((a, b), (b, a)):
        if _zero(defs, zero, sign=-1.0) and is_float(x):
            return _alias(eqn, x)
        if _zero(defs, zero, sign=1.0) and (not is_float(x) or _never_negative_zero(defs, x)):
            return _alias(eqn, x)
    return None


@IDENTITIES.add("x - 0", "sub")
def _(defs, eqn):
    x, zero = eqn.invars
    return _alias(eqn, x) if _zero(defs, zero, sign=1.0) else None


@IDENTITIES.add("x * 1", "mul")
def _(defs, eqn):
    a, b = eqn.invars
    for x, unit in ((a, b), (b, a)):
        if defs.number(unit) == 1:
            return _alias(eqn, x)
    return None


@IDENTITIES.add("x / 1", "div")
def _(defs, eqn):
    x, unit = eqn.invars
    return _alias(eqn, x) if defs.number(unit) == 1 else None


@IDENTITIES.add("x * -1", "mul", "div")
def _(defs, eqn):
    a, b = eqn.invars
    for x, unit in ((a, b), (b, a))[: 2 if eqn.primitive.name == "mul" else 1]:
        if defs.number(unit) == -1 and is_float(x) and same_type(eqn.outvars[0], x):
            return Replacement("-{0}", (x,), lax.neg)
    return None


@IDENTITIES.add("x * 0 of integers", "mul")
def _(defs, eqn):
    out = type_of(eqn.outvars[0])
    if jnp.issubdtype(out.dtype, jnp.integer) and 0 in (defs.number(eqn.invars[0]), defs.number(eqn.invars[1])):
        return Replacement("0", (), lambda: lax.full(out.shape, 0, out.dtype))
    return None


@IDENTITIES.add("x - x of integers", "sub", "xor")
def _(defs, eqn):
    out = type_of(eqn.outvars[0])
    if jnp.issubdtype(out.dtype, jnp.integer) and defs.same_value(*eqn.invars):
        return Replacement("0", (), lambda: lax.full(out.shape, 0, out.dtype))
    return None


@IDENTITIES.add("-(-x)", "neg", "not", "rev", "transpose")
def _(defs, eqn):
    """Operations that undo themselves."""
    name = eqn.primitive.name
    inner = defs.definition(eqn.invars[0], name)
    if inner is None:
        return None
    if name == "transpose":
        order = tuple(inner.params["permutation"][i] for i in eqn.params["permutation"])
        if order != tuple(range(len(order))):
            return Replacement(f"transpose({{0}}, {order})", (inner.invars[0],), lambda x: lax.transpose(x, order))
    elif eqn.params != inner.params:
        return None
    return _alias(eqn, inner.invars[0])


@IDENTITIES.add("x - -y", "sub", "add")
def _(defs, eqn):
    a, b = eqn.invars
    if not same_type(a, b):
        return None
    if (y := defs.operand(b, "neg")) is not None:
        sign, other = ("-", lax.sub) if eqn.primitive.name == "add" else ("+", lax.add)
        return Replacement(f"{{0}} {sign} {{1}}", (a, y), other)
    if eqn.primitive.name == "add" and (x := defs.operand(a, "neg")) is not None:
        return Replacement("{0} - {1}", (b, x), lax.sub)
    return None


@IDENTITIES.add("-x * -y", "mul", "div")
def _(defs, eqn):
    x, y = (defs.operand(atom, "neg") for atom in eqn.invars)
    if x is None or y is None:
        return None
    return (
        Replacement("{0} * {1}", (x, y), lax.mul)
        if eqn.primitive.name == "mul"
        else Replacement("{0} / {1}", (x, y), lax.div)
    )


@IDENTITIES.add("x ** 1", "integer_pow", "pow")
def _(defs, eqn):
    power = eqn.params["y"] if eqn.primitive.name == "integer_pow" else defs.number(eqn.invars[1])
    return _alias(eqn, eqn.invars[0]) if power == 1 else None


@IDENTITIES.add("max(x, x)", "max", "min", "and", "or")
def _(defs, eqn):
    return _alias(eqn, eqn.invars[0]) if defs.same_value(*eqn.invars) else None


@IDENTITIES.add("abs(abs(x))", "abs", "stop_gradient", "floor", "ceil", "sign")
def _(defs, eqn):
    """Operations that do nothing the second time."""
    return _alias(eqn, eqn.invars[0]) if defs.definition(eqn.invars[0], eqn.primitive.name) else None


@IDENTITIES.add("x == x of integers", "eq", "le", "ge")
def _(defs, eqn):
    x, y = eqn.invars
    out = type_of(eqn.outvars[0])
    if jnp.issubdtype(type_of(x).dtype, jnp.integer) and defs.same_value(x, y):
        return Replacement("true", (), lambda: lax.full(out.shape, True, out.dtype))
    return None
