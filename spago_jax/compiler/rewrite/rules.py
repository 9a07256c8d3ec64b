# SPDX-License-Identifier: BSD-2-Clause
"""Rules: what is looked for, and what takes its place; and one pass of them over a program."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray

from spago_jax.compiler import jaxprs
from spago_jax.compiler.jaxprs import Atom, JaxprEqn, Literal, Var
from spago_jax.compiler.rewrite.definitions import Definitions, type_of
from spago_jax.compiler.rewrite.report import Rewrite


@dataclasses.dataclass(frozen=True)
class Replacement:
    """Put in place of an operation: ``function`` of values that the program has already computed.

    ``text`` is what is reported, with ``{0}``, ``{1}`` for the operands. Without a function it is the first operand.
    """

    text: str
    operands: tuple[Any, ...]  # atoms
    function: Callable[..., Any] | None = None


Matcher = Callable[[Definitions, JaxprEqn], Replacement | None]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One rewrite: its name, the primitives that it begins at, and the function that looks."""

    name: str
    primitives: tuple[str, ...]
    match: Matcher


class Rules:
    """A list of rules, in the order in which they are tried."""

    def __init__(self) -> None:
        self.all: list[Rule] = []
        self._at: dict[str, list[Rule]] = {}

    def add(self, name: str, *primitives: str) -> Callable[[Matcher], Matcher]:
        """Decorator: the function is a rule that begins at these primitives."""

        def register(match: Matcher) -> Matcher:
            self.all.append(Rule(name, primitives, match))
            return match

        return register

    def at(self, primitive: str) -> list[Rule]:
        """Returns the rules that begin at a primitive."""
        if primitive not in self._at:
            self._at[primitive] = [rule for rule in self.all if primitive in rule.primitives]
        return self._at[primitive]


class Pass:
    """One run over a program in which rules take the place of equations; values that others use stay as they are."""

    def __init__(self, defs: Definitions, rules: Rules, rewrites: list[Rewrite]):
        self.defs, self.rules, self.rewrites = defs, rules, rewrites
        self._values: dict[Var, Any] = dict(zip(defs.closed.jaxpr.constvars, defs.closed.consts, strict=True))

    def record_inputs(self, eqn: JaxprEqn, given: list[Any]) -> None:
        """Keeps the values of an equation's inputs, for rules of later equations."""
        for atom, value in zip(eqn.invars, given, strict=True):
            if isinstance(atom, Var):
                self._values[atom] = value

    def value(self, atom: Atom) -> Any:
        """Returns the value of an operand in the new program."""
        return atom.val if isinstance(atom, Literal) else self._values[atom]

    def apply(self, eqn: JaxprEqn) -> list[Any] | None:
        """Returns the outputs of the first rule that fits an equation; None where none does."""
        for rule in self.rules.at(eqn.primitive.name):
            use = rule.match(self.defs, eqn)
            if use is None:
                continue
            aval = type_of(eqn.outvars[0])
            with jaxprs.located(eqn):
                operands = [self.value(atom) for atom in use.operands]
                new = use.function(*operands) if use.function else operands[0]
            if not _alike(new, aval, exact=use.function is None):
                continue
            if jnp.shape(new) != aval.shape:
                with jaxprs.located(eqn):
                    new = jnp.broadcast_to(new, aval.shape)
            self.report(rule.name, eqn, use.text.format(*(self.defs.text(atom) for atom in use.operands)))
            return [new]
        return None

    def report(self, rule: str, eqn: JaxprEqn, after: str) -> None:
        """Adds to the report."""
        self.rewrites.append(Rewrite(rule, jaxprs.place(eqn), self.defs.equation(eqn), after))


def live_matches(defs: Definitions, rules: Rules) -> set[int]:
    """The ids of the equations to rewrite so that no result of a rule is only there for another rule to pass over.

    Read from the outputs back: where a rule fits, only what it uses is needed of what comes before.
    """
    needed: set[Var] = {atom for atom in defs.closed.jaxpr.outvars if isinstance(atom, Var)}
    found: set[int] = set()
    for eqn in reversed(defs.closed.jaxpr.eqns):
        if not eqn.effects and not any(var in needed for var in eqn.outvars):
            continue
        use = next((use for rule in rules.at(eqn.primitive.name) if (use := rule.match(defs, eqn))), None)
        if use is not None:
            found.add(id(eqn))
        needed.update(atom for atom in (eqn.invars if use is None else use.operands) if isinstance(atom, Var))
    return found


def _alike(new: Any, aval: ShapedArray, *, exact: bool) -> bool:
    """Whether a value can stand for another: an alias must be of the same type, a function may give a smaller shape."""
    if jnp.result_type(new) != aval.dtype:
        return False
    if exact:
        weak = bool(getattr(getattr(new, "aval", None), "weak_type", isinstance(new, int | float | complex)))
        return jnp.shape(new) == aval.shape and weak == bool(getattr(aval, "weak_type", False))
    try:
        return np.broadcast_shapes(jnp.shape(new), aval.shape) == aval.shape
    except ValueError:
        return False


def same_type(a: Atom, b: Atom) -> bool:
    """Returns whether two values have one shape, one dtype, and both or neither are weakly typed."""
    weak = [bool(getattr(type_of(x), "weak_type", False)) for x in (a, b)]
    return type_of(a).shape == type_of(b).shape and type_of(a).dtype == type_of(b).dtype and weak[0] == weak[1]


def is_float(atom: Atom) -> bool:
    """Returns whether a value is a real floating-point array."""
    return jnp.issubdtype(type_of(atom).dtype, jnp.floating)


__all__ = ["Pass", "Replacement", "Rule", "Rules", "is_float", "live_matches", "same_type"]
