# SPDX-License-Identifier: BSD-2-Clause
"""Definitions: what every value of a flat program is made of, for rules to look at."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from spago_jax.compiler import jaxprs
from spago_jax.compiler.jaxprs import Atom, ClosedJaxpr, JaxprEqn, Literal, Var
from spago_jax.core.show import letters

_INFIX = {"add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/"}
_NAMES = {"logistic": "sigmoid", "reduce_sum": "sum", "reduce_max": "max", "dot_general": "dot"}
_SAME_NUMBERS = ("broadcast_in_dim", "reshape", "convert_element_type", "squeeze", "copy", "transpose")
_QUIET = ("broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "stop_gradient", "copy")
# Two of these are never one: they give another value, or do another thing, each time.
_UNIQUE = ("rng_uniform", "pure_callback", "io_callback", "debug_callback", "ref", "empty", "create_token")


class Definitions:
    """The definitions of the values in a program, their constants, and which of them are equal.

    Args:
        closed: the program, its calls written out.
        names: of its inputs, for the text of expressions; letters where there is none.
        known: inputs whose value is known (constants of a loop's body).
    """

    def __init__(self, closed: ClosedJaxpr, names: Sequence[str] = (), known: Mapping[Var, np.ndarray] | None = None):
        self.closed = closed
        self.definitions: dict[Var, JaxprEqn] = {
            var: eqn for eqn in closed.jaxpr.eqns for var in eqn.outvars if not jaxprs.is_dropped(var)
        }
        self._constants: dict[Var, np.ndarray] = {
            var: np.asarray(value)
            for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)
            if _is_held(value)
        }
        self._constants.update(known or {})
        inputs = closed.jaxpr.invars
        self._names: dict[Var, str] = {var: names[i] if i < len(names) else letters(i) for i, var in enumerate(inputs)}
        self._numbers: dict[Var, Hashable] = {}
        self._representatives: dict[Hashable, JaxprEqn] = {}

    # -- definitions -------------------------------------------------------------------------------------------------

    def definition(self, atom: Atom, *primitives: str) -> JaxprEqn | None:
        """Returns the equation that computes a value, when it is one of these primitives."""
        eqn = None if isinstance(atom, Literal) else self.definitions.get(atom)
        return eqn if eqn is not None and eqn.primitive.name in primitives else None

    def operand(self, atom: Atom, primitive: str) -> Atom | None:
        """Returns the operand of the one-operand primitive that computes a value; None for another one."""
        eqn = self.definition(atom, primitive)
        return None if eqn is None else eqn.invars[0]

    def pair(self, atom: Atom, *primitives: str) -> tuple[Atom, Atom] | None:
        """Both operands of the two-operand primitive that computes a value."""
        eqn = self.definition(atom, *primitives)
        return None if eqn is None else (eqn.invars[0], eqn.invars[1])

    def constant(self, atom: Atom) -> np.ndarray | None:
        """Returns the value of a literal, or of a captured constant; None for what is computed."""
        if isinstance(atom, Literal):
            return np.asarray(atom.val)
        return self._constants.get(atom)

    def number(self, atom: Atom) -> float | None:
        """Returns the one number that all elements of a value are, by whatever way it is written; None without one."""
        value = self.constant(atom)
        if value is not None:
            if value.size == 0 or (value.dtype.kind not in "fiub" and value.dtype.name != "bfloat16"):
                return None
            first = value.reshape(-1)[0]
            return float(first) if value.size == 1 or (value == first).all() else None
        eqn = self.definition(atom, *_SAME_NUMBERS)
        return None if eqn is None else self.number(eqn.invars[0])

    # -- equality ----------------------------------------------------------------------------------------------------

    def same_value(self, a: Atom, b: Atom) -> bool:
        """Returns whether two values are computed alike from the same inputs."""
        return self.value_number(a) == self.value_number(b)

    def value_number(self, atom: Atom) -> Hashable:
        """Equal for values that are computed alike."""
        if isinstance(atom, Literal):
            value = np.asarray(atom.val)
            weak = getattr(atom.aval, "weak_type", False)
            return ("literal", value.dtype.name, value.shape, value.tobytes(), weak)
        if atom not in self._numbers:
            self._number_all()
        return self._numbers[atom]

    def representative(self, eqn: JaxprEqn) -> JaxprEqn:
        """The first equation that computes what this one does; itself where it is the first, or must not be shared."""
        if not eqn.outvars:
            return eqn
        self.value_number(eqn.outvars[0])
        key = self._key(eqn)
        return eqn if key is None else self._representatives.get(key, eqn)

    def _key(self, eqn: JaxprEqn) -> Hashable | None:
        if eqn.effects or any(part in eqn.primitive.name for part in _UNIQUE):
            return None
        key = (
            eqn.primitive,
            tuple(sorted((name, _param(value)) for name, value in eqn.params.items())),
            tuple(self.value_number(atom) for atom in eqn.invars),
            eqn.ctx,
        )
        try:
            hash(key)
        except TypeError:
            return None
        return key

    def _number_all(self) -> None:
        jaxpr = self.closed.jaxpr
        for var in (*jaxpr.constvars, *jaxpr.invars):
            self._numbers[var] = ("input", id(var))
        for eqn in jaxpr.eqns:
            key = self._key(eqn)
            first = eqn if key is None else self._representatives.setdefault(key, eqn)
            for old, new in zip(eqn.outvars, first.outvars, strict=True):
                self._numbers[old] = ("value", id(new))

    # -- text --------------------------------------------------------------------------------------------------------

    def text(self, atom: Atom, depth: int = 4) -> str:
        """Returns an expression as one would write it, at most ``depth`` operations deep."""
        number = self.number(atom)
        if number is not None:
            return f"{number:g}"
        if isinstance(atom, Literal) or atom not in self.definitions:
            return self._names.get(atom, "constant") if isinstance(atom, Var) else "constant"
        eqn = self.definitions[atom]
        if eqn.primitive.name in _QUIET:
            return self.text(eqn.invars[0], depth)
        return self.equation(eqn, depth)

    def equation(self, eqn: JaxprEqn, depth: int = 4) -> str:
        """Returns the text of what an equation computes."""
        name = eqn.primitive.name
        if name in _QUIET and depth > 0:
            return f"{name}({self.text(eqn.invars[0], depth - 1)})"
        name = _NAMES.get(name, name)
        if name in ("custom_jvp_call", "jit", "pjit"):
            name = str(eqn.params.get("name", name))
        if depth <= 0:
            return "..."
        parts = [self.text(atom, depth - 1) for atom in eqn.invars]
        if name in _INFIX and len(parts) == 2:
            left, right = (f"({p})" if (" " in p and not p.endswith(")")) or _loose(p) else p for p in parts)
            return f"{left} {_INFIX[name]} {right}"
        if name == "integer_pow":
            return f"{_wrapped(parts[0])}^{eqn.params['y']}"
        if name == "square":
            return f"{_wrapped(parts[0])}^2"
        if name == "neg":
            return f"-{_wrapped(parts[0])}"
        return f"{name}({', '.join(parts)})"


def type_of(atom: Atom) -> Any:
    """Returns the shape, dtype and weak type of a value: JAX's declarations promise less than every array has."""
    return atom.aval


def _wrapped(text: str) -> str:
    return f"({text})" if _loose(text) else text


def _loose(text: str) -> bool:
    """Returns whether a text has an operator outside of all parentheses."""
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0 and (char == " " or (char == "-" and i == 0)):
            return True
    return False


def _is_held(value: object) -> bool:
    return (
        isinstance(value, np.ndarray | np.generic | jax.Array)
        and not isinstance(value, Tracer)
        and not (isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key))
    )


def _param(value: object) -> Any:
    """Returns a parameter as something that compares by value; programs and functions compare by identity."""
    if isinstance(value, np.ndarray):
        return ("array", value.dtype.name, value.shape, value.tobytes())
    if isinstance(value, list | tuple):
        return tuple(_param(item) for item in value)
    if isinstance(value, dict):
        return tuple(sorted((str(key), _param(item)) for key, item in value.items()))
    if isinstance(value, Callable) and not isinstance(value, type):
        return ("function", id(value))
    return _Exact(value)


class _Exact:
    """Compares equal only to the same type (1, 1.0 and True are three), and orders by nothing."""

    __slots__ = ("value",)

    def __init__(self, value: object):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Exact) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))
