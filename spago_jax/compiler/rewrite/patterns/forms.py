# SPDX-License-Identifier: BSD-2-Clause
"""Recognising formulas: sums with one, squares, sigmoids and softmaxes however they are written."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.jaxprs import Atom, JaxprEqn
from spago_jax.compiler.rewrite.definitions import Definitions, type_of
from spago_jax.compiler.rewrite.rules import is_float
from spago_jax.core import Array

# They only move elements, so that a function of every element may be applied before or after.
_MOVES = ("reshape", "broadcast_in_dim", "squeeze", "transpose", "slice", "rev", "expand_dims", "copy")
_CHOICES = ("gather", "dynamic_slice")


def negated(defs: Definitions, atom: Atom) -> Atom | None:
    """x of ``-x``, ``x * -1``, ``x / -1`` and ``0 - x``."""
    if (x := defs.operand(atom, "neg")) is not None:
        return x
    if (both := defs.pair(atom, "mul", "div")) is not None:
        if defs.number(both[1]) == -1:
            return both[0]
        if defs.definition(atom, "mul") and defs.number(both[0]) == -1:
            return both[1]
    if (both := defs.pair(atom, "sub")) is not None and defs.number(both[0]) == 0:
        return both[1]
    return None


def is_negative_of(defs: Definitions, a: Atom, b: Atom) -> bool:
    """Returns whether a is -b or b is -a, also as ``-2x`` and ``2x``."""
    for x, y in ((a, b), (b, a)):
        if (inner := negated(defs, x)) is not None and defs.same_value(inner, y):
            return True
    first, second = scaled(defs, a), scaled(defs, b)
    return first[0] == -second[0] and defs.same_value(first[1], second[1])


def scaled(defs: Definitions, atom: Atom) -> tuple[float, Atom]:
    """``(c, x)`` of ``c * x`` with a constant c; ``(1, x)`` for any other value."""
    if (x := negated(defs, atom)) is not None:
        factor, inner = scaled(defs, x)
        return -factor, inner
    if (both := defs.pair(atom, "mul")) is not None:
        for number, x in (both, both[::-1]):
            value = defs.number(number)
            if value is not None:
                factor, inner = scaled(defs, x)
                return value * factor, inner
    return 1.0, atom


def plus_one(defs: Definitions, atom: Atom) -> Atom | None:
    """x of ``1 + x``, ``x + 1`` and ``x - -1``."""
    if (both := defs.pair(atom, "add", "add_any")) is not None:
        for unit, x in (both, both[::-1]):
            if defs.number(unit) == 1:
                return x
    if (both := defs.pair(atom, "sub")) is not None and defs.number(both[1]) == -1:
        return both[0]
    return None


def one_minus(defs: Definitions, atom: Atom) -> Atom | None:
    """x of ``1 - x`` and ``1 + -x``."""
    if (both := defs.pair(atom, "sub")) is not None and defs.number(both[0]) == 1:
        return both[1]
    x = plus_one(defs, atom)
    return None if x is None else negated(defs, x)


def minus_one(defs: Definitions, atom: Atom) -> Atom | None:
    """x of ``x - 1`` and ``x + -1``."""
    if (both := defs.pair(atom, "sub")) is not None and defs.number(both[1]) == 1:
        return both[0]
    if (both := defs.pair(atom, "add", "add_any")) is not None:
        for unit, x in (both, both[::-1]):
            if defs.number(unit) == -1:
                return x
    return None


def squared(defs: Definitions, atom: Atom) -> Atom | None:
    """x of ``x * x``, ``x ** 2`` and ``square(x)``."""
    if (x := defs.operand(atom, "square")) is not None:
        return x
    if (eqn := defs.definition(atom, "integer_pow")) is not None and eqn.params["y"] == 2:
        return eqn.invars[0]
    if (both := defs.pair(atom, "pow")) is not None and defs.number(both[1]) == 2:
        return both[0]
    if (both := defs.pair(atom, "mul")) is not None and defs.same_value(*both):
        return both[0]
    return None


def sigmoid_of(defs: Definitions, atom: Atom) -> tuple[Atom, bool] | None:
    """``(x, negative)`` where a value is ``sigmoid(x)``, or ``sigmoid(-x)``: the function, or written by hand."""
    if (x := defs.operand(atom, "logistic")) is not None:
        return x, False
    return sigmoid_by_hand(defs, atom)


def sigmoid_by_hand(defs: Definitions, atom: Atom, times: int = 1) -> tuple[Atom, bool] | None:
    """``times / (1 + exp(-x))`` and ``exp(x) / (1 + exp(x))``; see ``sigmoid_of``."""
    both = defs.pair(atom, "div")
    power = None if both is None else plus_one(defs, both[1])
    exponent = None if power is None else defs.operand(power, "exp")
    if both is None or exponent is None:
        return None
    if defs.number(both[0]) == times:
        inner = negated(defs, exponent)
        return (exponent, True) if inner is None else (inner, False)
    top = defs.operand(both[0], "exp") if times == 1 else None
    return (exponent, False) if top is not None and defs.same_value(top, exponent) else None


def softmax_of(defs: Definitions, atom: Atom) -> tuple[Atom, tuple[int, ...]] | None:
    """``(x, axes)`` where a value is ``exp(x) / sum(exp(x))`` over the axes."""
    both = defs.pair(atom, "div")
    if both is None or (x := defs.operand(both[0], "exp")) is None:
        return None
    axes = reduced(defs, both[1], both[0])
    return None if axes is None else (unshifted(defs, x, axes), axes)


def unshifted(defs: Definitions, x: Atom, axes: tuple[int, ...]) -> Atom:
    """z of ``z - s`` where s is one number along the axes: neither softmax nor its derivative sees it."""
    both = defs.pair(x, "sub")
    if both is None or type_of(both[0]).shape != type_of(x).shape:
        return x
    shift = both[1]
    while (eqn := defs.definition(shift, "stop_gradient", "copy")) is not None:
        shift = eqn.invars[0]
    shape = type_of(shift).shape
    if shape == () or all(shape[axis] == 1 for axis in axes):
        return both[0]
    spread = defs.definition(shift, "broadcast_in_dim")
    if spread is None:
        return x
    dims, old = spread.params["broadcast_dimensions"], type_of(spread.invars[0]).shape
    varies = [dim for i, dim in enumerate(dims) if old[i] != 1]
    return x if any(axis in varies for axis in axes) else both[0]


def takes_off_the_largest(defs: Definitions, x: Atom) -> bool:
    """Whether x is ``z - max(z)``, as the functions of ``jax.nn`` write it: its exponentials are safe already."""
    both = defs.pair(x, "sub")
    steps = [] if both is None else [both[1]]
    passing = ("stop_gradient", "broadcast_in_dim", "reshape", "max", "select_n", "copy")
    while steps:
        atom = steps.pop()
        if defs.definition(atom, "reduce_max"):
            return True
        if (eqn := defs.definition(atom, *passing)) is not None:
            steps.extend(eqn.invars)
    return False


def reduced(defs: Definitions, total: Atom, terms: Atom) -> tuple[int, ...] | None:
    """The axes over which ``total`` is the sum of ``terms``, spread over their shape again; None if it is not."""
    shape = type_of(terms).shape
    # where the axes of the value looked at, of size above 1, lie among those of the terms
    if type_of(total).shape == ():
        where: dict[int, int] = {}
    elif len(type_of(total).shape) == len(shape):
        where = {i: i for i in range(len(shape))}
    else:
        return None
    passing = ("broadcast_in_dim", "reshape", "squeeze", "copy", "convert_element_type")
    while (eqn := defs.definition(total, *passing)) is not None:
        inner = where if eqn.primitive.name == "convert_element_type" else _before(eqn, where)
        if inner is None:
            return None
        total, where = eqn.invars[0], inner
    eqn = defs.definition(total, "reduce_sum")
    if eqn is None or not defs.same_value(unconverted(defs, eqn.invars[0]), terms):
        return None
    axes = tuple(eqn.params["axes"])
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    right = all(where.get(i) == axis for i, axis in enumerate(kept) if shape[axis] != 1)
    return axes if right else None


def _before(eqn: JaxprEqn, where: dict[int, int]) -> dict[int, int] | None:
    """Returns the places of the axes of a movement's operand, given those of its result."""
    old, new = type_of(eqn.invars[0]).shape, type_of(eqn.outvars[0]).shape
    if eqn.primitive.name == "broadcast_in_dim":
        dims = eqn.params["broadcast_dimensions"]
        return {i: where[d] for i, d in enumerate(dims) if old[i] != 1 and d in where}
    wide = [i for i, size in enumerate(old) if size != 1]
    onto = [i for i, size in enumerate(new) if size != 1]
    if [old[i] for i in wide] != [new[i] for i in onto]:
        return None
    return {i: where[j] for i, j in zip(wide, onto, strict=True) if j in where}


def moved(defs: Definitions, atom: Atom) -> tuple[Atom, tuple[Atom, ...], Callable[..., Any]]:
    """What a value was before its elements were only moved or chosen, and how to move them again.

    Returns:
        source: the value before.
        others: further operands (indices) of the movements.
        again: ``again(value, *others)`` moves a value of the source's shape.
    """
    moves: list[JaxprEqn] = []
    while (eqn := defs.definition(atom, *_MOVES, *_CHOICES, "convert_element_type")) is not None:
        if eqn.primitive.name == "convert_element_type" and not _is_narrower(eqn):
            break
        fill = eqn.params.get("fill_value")
        if fill is not None and not np.isnan(fill):  # a function of what was filled in would be another value
            break
        moves.append(eqn)
        atom = eqn.invars[0]
    others = tuple(other for eqn in reversed(moves) for other in eqn.invars[1:])

    def again(value: Array, *given: Any) -> Any:
        rest = list(given)
        for eqn in reversed(moves):
            extra = [rest.pop(0) for _ in eqn.invars[1:]]
            value = jaxprs.bind(eqn, [value, *extra])[0]
        return value

    return atom, others, again


def _is_narrower(eqn: JaxprEqn) -> bool:
    """Whether a conversion is from a wider to a narrower float: what comes before it may then be done before it."""
    old, new = type_of(eqn.invars[0]).dtype, type_of(eqn.outvars[0]).dtype
    return all(jnp.issubdtype(dtype, jnp.floating) for dtype in (old, new)) and old.itemsize >= new.itemsize


def unconverted(defs: Definitions, atom: Atom) -> Atom:
    """Returns a value before its conversion to a wider float: sums of half-precision numbers are taken in float32."""
    eqn = defs.definition(atom, "convert_element_type")
    if eqn is None or not is_float(eqn.invars[0]) or not is_float(atom):
        return atom
    return eqn.invars[0] if type_of(eqn.invars[0]).dtype.itemsize <= type_of(atom).dtype.itemsize else atom


def floats(*atoms: Atom | None) -> bool:
    """Returns whether all of them are there and real floating-point arrays."""
    return all(atom is not None and is_float(atom) for atom in atoms)


def near(value: float | None, target: float) -> bool:
    """Returns whether a constant is a number up to the rounding of its dtype."""
    return value is not None and bool(np.isclose(value, target, rtol=1e-6, atol=0))
