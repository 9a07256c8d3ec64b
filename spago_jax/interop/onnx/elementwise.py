# SPDX-License-Identifier: BSD-2-Clause
"""Operations on each number by itself."""

import numpy as np
from jax.typing import DTypeLike

from spago_jax.interop.onnx.graph import Graph, Value
from spago_jax.interop.onnx.table import Equation, Unsupported, converts

_ONE_TO_ONE = {
    "abs": "Abs",
    "acos": "Acos",
    "acosh": "Acosh",
    "add": "Add",
    "add_any": "Add",
    "asin": "Asin",
    "asinh": "Asinh",
    "atan": "Atan",
    "atanh": "Atanh",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "log": "Log",
    "logistic": "Sigmoid",
    "lt": "Less",
    "mul": "Mul",
    "neg": "Neg",
    "pow": "Pow",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "sub": "Sub",
    "tan": "Tan",
    "tanh": "Tanh",
}


@converts(*_ONE_TO_ONE)
def one_to_one(g: Graph, eqn: Equation, *inputs: Value) -> Value:
    """What ONNX has under another name."""
    return g.node(_ONE_TO_ONE[eqn.primitive.name], *inputs)


@converts("copy", "copy_p", "device_put", "name", "optimization_barrier", "reduce_precision", "stop_gradient")
def unchanged(g: Graph, eqn: Equation, *inputs: Value) -> list[Value]:
    """What only matters to JAX."""
    if eqn.primitive.name == "reduce_precision":
        info = np.finfo(eqn.outvars[0].aval.dtype)
        if eqn.params["exponent_bits"] < info.iexp or eqn.params["mantissa_bits"] < info.nmant:
            raise Unsupported("to fewer bits")
    return list(inputs)


@converts("convert_element_type")
def convert(g: Graph, eqn: Equation, x: Value) -> Value:
    """Another dtype; floats as whole numbers are cut, NaN is 0, and what lies beyond is the nearest one."""
    old, new = np.dtype(eqn.invars[0].aval.dtype), np.dtype(eqn.params["new_dtype"])
    if old == new:
        return x
    if old.kind != "f" or new.kind not in "iu":
        return g.cast(x, new)
    if old == np.float16:
        x, old = g.cast(x, np.float32), np.dtype(np.float32)
    info = np.iinfo(new)
    low, high = np.asarray(info.min, old), np.asarray(info.max, old)
    beyond = int(high) > info.max  # the largest number is not a float: those from there on are put in afterwards
    held = g.node("Where", g.node("IsNaN", x), np.zeros((), old), x)
    inside = np.nextafter(high, low) if beyond else high
    wide = np.dtype(np.int32) if new.itemsize < 4 else np.dtype(np.int64)
    cut = g.cast(g.cast(g.node("Max", g.node("Min", held, inside), low), wide), new)
    if not beyond:
        return cut
    return g.node("Where", g.node("GreaterOrEqual", held, high), np.asarray(info.max, new), cut)


@converts("div")
def divide(g: Graph, eqn: Equation, x: Value, y: Value) -> Value:
    """The quotient; of whole numbers by 0 it is -1, where runtimes fail, and by -1 it does not overflow."""
    dtype = np.dtype(eqn.invars[0].aval.dtype)
    if dtype.kind == "f" or _harmless(y):
        return g.node("Div", x, y)
    zero, one = np.zeros((), dtype), np.ones((), dtype)
    none = g.node("Equal", y, zero)
    nothing = np.asarray(-1).astype(dtype)
    if dtype.kind == "u":
        return where(g, dtype, none, nothing, g.node("Div", x, where(g, dtype, none, one, y)))
    minus = g.node("Equal", y, -one)
    quotient = g.node("Div", x, where(g, dtype, g.node("Or", none, minus), one, y))
    return where(g, dtype, none, nothing, where(g, dtype, minus, g.node("Sub", zero, x), quotient))


def _harmless(y: Value) -> bool:
    """Returns whether a divisor is known, and neither 0 nor -1."""
    return isinstance(y, np.ndarray) and not bool(np.isin(y.astype(np.int64), (0, -1)).any())


@converts("eq", "ne")
def equal(g: Graph, eqn: Equation, x: Value, y: Value) -> Value:
    """Equal, or not."""
    same = g.node("Equal", x, y)
    return same if eqn.primitive.name == "eq" else g.node("Not", same)


@converts("and", "or", "xor", "not")
def logic(g: Graph, eqn: Equation, *inputs: Value) -> Value:
    """Of truth values, or bit by bit."""
    kind = eqn.primitive.name.capitalize()
    boolean = eqn.invars[0].aval.dtype == bool
    return g.node(kind if boolean else f"Bitwise{kind}", *inputs)


@converts("max", "min")
def extreme(g: Graph, eqn: Equation, x: Value, y: Value) -> Value:
    """The larger or the smaller of two."""
    kind = eqn.primitive.name
    if eqn.invars[0].aval.dtype == bool:
        return g.node("Or" if kind == "max" else "And", x, y)
    return g.node(kind.capitalize(), x, y)


@converts("clamp")
def clamp(g: Graph, eqn: Equation, low: Value, x: Value, high: Value) -> Value:
    """Between two bounds."""
    return g.node("Max", g.node("Min", x, high), low)


@converts("rem")
def remainder(g: Graph, eqn: Equation, x: Value, y: Value) -> Value:
    """With the sign of the dividend; of whole numbers by 0 it is the dividend, where runtimes fail."""
    dtype = np.dtype(eqn.invars[0].aval.dtype)
    if dtype.kind == "f" or _harmless(y):
        return g.node("Mod", x, y, fmod=1)
    none = g.node("Equal", y, np.zeros((), dtype))
    harmful = none if dtype.kind == "u" else g.node("Or", none, g.node("Equal", y, -np.ones((), dtype)))
    rest = g.node("Mod", x, where(g, dtype, harmful, np.ones((), dtype), y), fmod=1)  # by -1 it is 0, as by 1
    return where(g, dtype, none, x, rest)


@converts("atan2")
def angle(g: Graph, eqn: Equation, y: Value, x: Value) -> Value:
    """The angle of (x, y): the arc tangent of the smaller over the larger, turned into its octant."""
    dtype = eqn.outvars[0].aval.dtype
    zero, one = np.zeros((), dtype), np.ones((), dtype)
    up, across = g.node("Abs", y), g.node("Abs", x)
    small, large = g.node("Min", up, across), g.node("Max", up, across)
    alike = g.node("Equal", small, large)  # two infinities among them; two zeros have the angle of the axis
    nothing = g.node("Equal", large, zero)
    ratio = g.node("Div", small, g.node("Where", nothing, one, large))
    ratio = g.node("Where", alike, g.node("Where", nothing, zero, one), ratio)
    found = g.node("Atan", ratio)
    found = g.node("Where", g.node("Greater", up, across), g.node("Sub", np.asarray(np.pi / 2, dtype), found), found)
    found = g.node("Where", _negative(g, x, zero), g.node("Sub", np.asarray(np.pi, dtype), found), found)
    return g.node("Where", _negative(g, y, zero), g.node("Neg", found), found)


def _negative(g: Graph, x: Value, zero: np.ndarray) -> Value:
    """Returns whether the sign is minus, that of -0 too."""
    return g.node("Or", g.node("Less", x, zero), g.node("Less", g.node("Reciprocal", x), zero))


@converts("integer_pow")
def integer_power(g: Graph, eqn: Equation, x: Value) -> Value:
    """Products for small powers, which are exact."""
    power, dtype = eqn.params["y"], eqn.invars[0].aval.dtype
    if power == 0:
        return g.node("Add", g.node("Mul", x, np.zeros((), dtype)), np.ones((), dtype))
    result, base, left = None, x, abs(power)
    while left:
        if left % 2:
            result = base if result is None else g.node("Mul", result, base)
        left //= 2
        base = g.node("Mul", base, base) if left else base
    assert result is not None
    return result if power > 0 else g.node("Reciprocal", result)


@converts("square")
def square(g: Graph, eqn: Equation, x: Value) -> Value:
    """x x."""
    return g.node("Mul", x, x)


@converts("rsqrt")
def inverse_root(g: Graph, eqn: Equation, x: Value) -> Value:
    """1 / sqrt(x)."""
    return g.node("Reciprocal", g.node("Sqrt", x))


@converts("cbrt")
def cube_root(g: Graph, eqn: Equation, x: Value) -> Value:
    """With the sign of x."""
    third = np.asarray(1 / 3, eqn.invars[0].aval.dtype)
    return g.node("Mul", g.node("Sign", x), g.node("Pow", g.node("Abs", x), third))


@converts("exp2")
def power_of_two(g: Graph, eqn: Equation, x: Value) -> Value:
    """exp(x log 2)."""
    return g.node("Exp", g.node("Mul", x, np.asarray(np.log(2), eqn.invars[0].aval.dtype)))


@converts("erfc")
def complementary_error(g: Graph, eqn: Equation, x: Value) -> Value:
    """1 - erf(x): absolute, not relative, precision for large x."""
    return g.node("Sub", np.ones((), eqn.invars[0].aval.dtype), g.node("Erf", x))


@converts("log1p")
def log_of_one_plus(g: Graph, eqn: Equation, x: Value) -> Value:
    """Precise near 0: ``log(u) x / (u - 1)`` with u = 1 + x, and x where u is 1 (Kahan)."""
    one = np.ones((), eqn.invars[0].aval.dtype)
    u = g.node("Add", x, one)
    rounded = g.node("Equal", u, one)
    less = g.node("Where", rounded, one, g.node("Sub", u, one))
    precise = g.node("Mul", g.node("Log", u), g.node("Div", x, less))
    infinite = g.node("IsInf", x, detect_negative=0)
    return g.node("Where", rounded, x, g.node("Where", infinite, x, precise))


@converts("expm1")
def exp_less_one(g: Graph, eqn: Equation, x: Value) -> Value:
    """Precise near 0: with t = tanh(x / 2), ``2 t / (1 - t)``; ``exp(x) - 1`` further out."""
    dtype = eqn.invars[0].aval.dtype
    one, half = np.ones((), dtype), np.asarray(0.5, dtype)
    near = g.node("Less", g.node("Abs", x), half)
    t = g.node("Tanh", g.node("Mul", g.node("Where", near, x, np.zeros((), dtype)), half))
    close = g.node("Div", g.node("Add", t, t), g.node("Sub", one, t))
    return g.node("Where", near, close, g.node("Sub", g.node("Exp", x), one))


@converts("round")
def rounded(g: Graph, eqn: Equation, x: Value) -> Value:
    """Halves to the even number, or away from zero."""
    if int(eqn.params["rounding_method"]) == 1:
        return g.node("Round", x)
    half = np.asarray(0.5, eqn.invars[0].aval.dtype)
    return g.node("Mul", g.node("Sign", x), g.node("Floor", g.node("Add", g.node("Abs", x), half)))


@converts("is_finite")
def finite(g: Graph, eqn: Equation, x: Value) -> Value:
    """Neither infinite nor NaN."""
    return g.node("Not", g.node("Or", g.node("IsInf", x), g.node("IsNaN", x)))


@converts("select_n")
def select(g: Graph, eqn: Equation, which: Value, *cases: Value) -> Value:
    """``cases[which]``, number by number."""
    dtype = eqn.outvars[0].aval.dtype
    if eqn.invars[0].aval.dtype == bool:
        return where(g, dtype, which, cases[1], cases[0])
    result = cases[0]
    for index, case in enumerate(cases[1:], 1):
        hit = g.node("GreaterOrEqual", which, np.asarray(index, eqn.invars[0].aval.dtype))
        result = where(g, dtype, hit, case, result)
    return result


def where(g: Graph, dtype: DTypeLike, condition: Value, yes: Value, no: Value) -> Value:
    """``Where``; of truth values as logic, which runtimes have for every shape, and of 16 bits in 32."""
    if np.dtype(dtype).kind == "b":
        return g.node("Or", g.node("And", condition, yes), g.node("And", g.node("Not", condition), no))
    if np.dtype(dtype) in (np.int16, np.uint16):
        return g.cast(g.node("Where", condition, g.cast(yes, np.int32), g.cast(no, np.int32)), dtype)
    return g.node("Where", condition, yes, no)
