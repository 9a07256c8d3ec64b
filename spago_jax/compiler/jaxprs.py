# SPDX-License-Identifier: BSD-2-Clause
"""The one file that touches JAX's traced programs (jaxprs): reading, running and rewriting them.

A jaxpr is a list of equations ``outputs = primitive(inputs, params)``. It is rewritten by running it again under a
trace with another rule for some equations: nothing here builds equations by hand, so JAX checks every one.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var
from jax.interpreters import partial_eval

__all__ = [
    "Atom",
    "ClosedJaxpr",
    "Jaxpr",
    "JaxprEqn",
    "Literal",
    "Loop",
    "Place",
    "Var",
    "bind",
    "branches",
    "call_body",
    "constant",
    "inline",
    "is_backward",
    "is_dropped",
    "is_plain_call",
    "located",
    "place",
    "rebind",
    "retrace",
    "run",
    "scan_loop",
    "scope",
    "shape_of",
    "subprograms",
    "trace",
    "used_equations",
    "while_loop",
    "without_dead",
]

Atom = Var | Literal
Rule = Callable[[JaxprEqn, list[Any]], "Sequence[Any] | None"]

# Equations that only call a body with their own inputs, and the parameter that holds it.
_PLAIN_CALLS = ("jit", "pjit", "closed_call", "core_call", "xla_call")
_CUSTOM_CALLS = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_lin")
_REMAT_CALLS = ("checkpoint", "remat", "remat2")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the source an operation was written."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.function})"


def trace(function: Callable[..., Any], *args: Any) -> tuple[ClosedJaxpr, Any]:
    """Traces a function of pytrees of arrays or ``ShapeDtypeStruct``: its jaxpr, and the tree of its outputs."""
    return jax.make_jaxpr(function, return_shape=True)(*args)


def subprograms(eqn: JaxprEqn) -> dict[str, ClosedJaxpr]:
    """The programs inside an equation by parameter name: a call's, a scan's, both of a while, each branch of a cond."""
    found: dict[str, ClosedJaxpr] = {}
    for name, value in eqn.params.items():
        several = isinstance(value, tuple | list)
        for index, item in enumerate(value if several else (value,)):
            if isinstance(item, Jaxpr) and not isinstance(item, ClosedJaxpr):  # since JAX 0.12 the two are one
                item = ClosedJaxpr(item, ())
            if isinstance(item, ClosedJaxpr):
                found[f"{name}.{index}" if several else name] = item
    return found


def shape_of(aval: object) -> tuple[int, ...]:
    """Returns the shape of an abstract value; empty for what is not an array."""
    return tuple(getattr(aval, "shape", ()))


def call_body(eqn: JaxprEqn, *, custom: bool = True, remat: bool = True) -> ClosedJaxpr | None:
    """Returns the body of an equation that only calls it with its own inputs (``jit``, ...), or None.

    Args:
        eqn: the equation.
        custom: also see through functions with a derivative of their own (which is lost by inlining them).
        remat: also see through ``jax.checkpoint``.
    """
    name = eqn.primitive.name
    if name in _PLAIN_CALLS or (custom and name in _CUSTOM_CALLS) or (remat and name in _REMAT_CALLS):
        for body in subprograms(eqn).values():
            if len(body.jaxpr.invars) == len(eqn.invars) and len(body.jaxpr.outvars) == len(eqn.outvars):
                return body
    return None


def bind(eqn: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    """Runs one equation on values (or tracers), keeping its place in the source and its name scope."""
    params = eqn.primitive.get_bind_params(eqn.params)
    functions: Sequence[Any] = ()
    if isinstance(params, tuple):  # JAX before 0.10 hands the functions over apart
        functions, params = params
    names = source_info_util.current_name_stack() + eqn.source_info.name_stack
    with source_info_util.user_context(eqn.source_info.traceback, name_stack=names), eqn.ctx.manager:
        output = eqn.primitive.bind(*functions, *inputs, **params)
    return list(output) if eqn.primitive.multiple_results else [output]


def run(closed: ClosedJaxpr, inputs: Sequence[Any], rule: Rule | None = None) -> list[Any]:
    """Runs a jaxpr equation by equation.

    Args:
        closed: the program.
        inputs: one value for each of its inputs.
        rule: given an equation and its input values, returns its outputs, or None to have it run as it stands.
    """
    jaxpr = closed.jaxpr
    values: dict[Var, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
    values.update(zip(jaxpr.invars, inputs, strict=True))
    return _run_equations(jaxpr.eqns, values, jaxpr.outvars, rule)


def _run_equations(
    eqns: Sequence[JaxprEqn], values: dict[Var, Any], outvars: Sequence[Atom], rule: Rule | None = None
) -> list[Any]:
    def read(atom: Atom) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for eqn in eqns:
        given = [read(atom) for atom in eqn.invars]
        outputs = rule(eqn, given) if rule else None
        if outputs is None:
            outputs = bind(eqn, given)
        values.update(zip(eqn.outvars, outputs, strict=True))
    return [read(atom) for atom in outvars]


def retrace(closed: ClosedJaxpr, rule: Rule) -> ClosedJaxpr:
    """Returns the jaxpr that comes of running ``closed`` under ``rule``: the way programs are rewritten."""
    inputs = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype, weak_type=v.aval.weak_type) for v in closed.jaxpr.invars]
    return jax.make_jaxpr(lambda *values: run(closed, values, rule))(*inputs)


def inline(closed: ClosedJaxpr, *, custom: bool = False, remat: bool = False) -> ClosedJaxpr:
    """Returns the same program with the bodies of its calls written out (not those of loops and branches)."""

    def rule(eqn: JaxprEqn, given: list[Any]) -> Sequence[Any] | None:
        body = call_body(eqn, custom=custom, remat=remat)
        if body is None:
            return None
        names = source_info_util.current_name_stack() + eqn.source_info.name_stack
        with source_info_util.user_context(None, name_stack=names):
            return run(body, given, rule)

    return retrace(closed, rule)


def constant(atom: Atom, consts: dict[Var, Any] | None = None) -> np.ndarray | None:
    """Returns the value of a literal or of a captured constant; None where it is computed."""
    if isinstance(atom, Literal):
        return np.asarray(atom.val)
    if consts and atom in consts:
        return np.asarray(consts[atom])
    return None


def is_dropped(var: Var) -> bool:
    """Returns whether an output is thrown away."""
    return type(var).__name__ == "DropVar"


def used_equations(closed: ClosedJaxpr) -> set[int]:
    """Returns the numbers of the equations that the outputs need, or that have effects."""
    needed = {atom for atom in closed.jaxpr.outvars if isinstance(atom, Var)}
    used: set[int] = set()
    for index in reversed(range(len(closed.jaxpr.eqns))):
        eqn = closed.jaxpr.eqns[index]
        if eqn.effects or any(var in needed for var in eqn.outvars):
            used.add(index)
            needed.update(atom for atom in eqn.invars if isinstance(atom, Var))
    return used


_CELL = re.compile(r".*[/\\]ipykernel_\d+[/\\]\d+\.py")  # the temporary name of a notebook's cell
_SUMMARY = re.compile(r"^(.*?):(\d+)(?::\d+)?(?: \((.*)\))?$")


def place(eqn: JaxprEqn) -> Place | None:
    """Where in the source an equation comes from: the innermost line outside JAX, of a notebook ``<cell>:LINE``."""
    match = _SUMMARY.match(source_info_util.summarize(eqn.source_info))
    if match is None:
        return None
    return Place("<cell>" if _CELL.fullmatch(match[1]) else match[1], int(match[2]), match[3] or "")


def scope(eqn: JaxprEqn) -> tuple[str, ...]:
    """Returns the name scopes around an equation, outermost first, without those of ``grad`` and ``vmap``.

    Those of modules are their class or their path below the module that called them (see ``core.scopes``).
    """
    stack = re.sub(r"\w+\(|\)", "", str(eqn.source_info.name_stack))
    return tuple(part for part in stack.split("/") if part)


@dataclasses.dataclass(frozen=True)
class Loop:
    """The parts of a ``scan``: ``carry, y = body(constants, carry, x)`` for each x.

    Attributes:
        body: one step.
        constants: how many of the inputs every step reads as they are.
        carried: how many of the next inputs, and of the first outputs, go from step to step.
        length: the number of steps.
        reverse: whether the last x comes first.
    """

    body: ClosedJaxpr
    constants: int
    carried: int
    length: int
    reverse: bool


def scan_loop(eqn: JaxprEqn) -> Loop | None:
    """Returns the parts of a scan; None for any other equation."""
    if eqn.primitive.name != "scan":
        return None
    params = eqn.params
    if "num_consts" in params:
        constants, carried = params["num_consts"], params["num_carry"]
    else:  # JAX 0.12 on: the trees of the constants, the carry and the elements
        constants, carried = (len(list(part)) for part in params["ft_in"].unpack()[:2])
    return Loop(params["jaxpr"], constants, carried, params["length"], params["reverse"])


def while_loop(eqn: JaxprEqn) -> tuple[ClosedJaxpr, int, ClosedJaxpr, int] | None:
    """Returns the condition of a while loop with its number of constants, its body with its number; None for any other.

    The inputs are the condition's constants, the body's constants, and the carry, which is also the outputs.
    """
    if eqn.primitive.name != "while":
        return None
    params = eqn.params
    return params["cond_jaxpr"], params["cond_nconsts"], params["body_jaxpr"], params["body_nconsts"]


def branches(eqn: JaxprEqn) -> tuple[ClosedJaxpr, ...] | None:
    """Returns the branches of a cond or switch, whose first input is the index; None for any other equation."""
    return tuple(eqn.params["branches"]) if eqn.primitive.name == "cond" else None


def is_backward(eqn: JaxprEqn) -> bool:
    """Returns whether an equation belongs to the backward half of a derivative."""
    return "transpose(" in str(eqn.source_info.name_stack)


@contextlib.contextmanager
def located(eqn: JaxprEqn) -> Iterator[None]:
    """What is traced inside bears the place in the source, and the name scope, of an equation."""
    names = source_info_util.current_name_stack() + eqn.source_info.name_stack
    with source_info_util.user_context(eqn.source_info.traceback, name_stack=names), eqn.ctx.manager:
        yield


def rebind(eqn: JaxprEqn, inputs: Sequence[Any], changed: Mapping[str, ClosedJaxpr]) -> list[Any]:
    """Runs one equation with other programs inside it, of the same inputs and outputs, named as by ``subprograms``."""
    params = dict(eqn.params)
    for name, body in changed.items():
        key, _, index = name.partition(".")
        old = params[key]
        if index:
            items = list(old)
            items[int(index)] = body.jaxpr if isinstance(items[int(index)], Jaxpr) else body
            params[key] = type(old)(items)
        else:
            params[key] = body.jaxpr if isinstance(old, Jaxpr) else body
    return bind(eqn.replace(params=params), inputs)


def without_dead(closed: ClosedJaxpr) -> ClosedJaxpr:
    """Returns the same inputs and outputs without what the outputs do not need, inside loops and branches too."""
    jaxpr, _ = partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars), instantiate=True)
    return ClosedJaxpr(jaxpr, closed.consts)


def is_plain_call(eqn: JaxprEqn) -> bool:
    """Whether an equation does nothing but call its body: no sharding, layout or compiler option is lost without it."""
    if eqn.primitive.name not in _PLAIN_CALLS:
        return False
    shardings = (*eqn.params.get("in_shardings", ()), *eqn.params.get("out_shardings", ()))
    layouts = (*eqn.params.get("in_layouts", ()), *eqn.params.get("out_layouts", ()))
    free = all(type(sharding).__name__ == "UnspecifiedValue" for sharding in shardings)
    return free and not any(layouts) and not eqn.params.get("compiler_options_kvs", ())


def hoisted(
    function: Callable[..., Any], *args: Any
) -> tuple[Callable[..., list[Any]], list[jax.Array], list[jax.Array]]:
    """A function without what it closes over: ``run(leaves, *rest, arrays, constants)``, those arrays, and the others.

    Args:
        function: of a tree and further arrays; gives such a tree back.
        args: arguments of the shapes that it will be called with; the first is the tree.

    Returns:
        A function of the tree's leaves, the further arrays, and what was closed over; its floats; and the integers,
        booleans and keys among them.
    """
    closed = jax.make_jaxpr(function)(*args)
    # Neither `closed` nor its jaxpr, which has the constants since JAX 0.12: tracers, they would outlive their trace.
    constvars, invars, outvars, eqns = (
        list(part) for part in (closed.jaxpr.constvars, closed.jaxpr.invars, closed.jaxpr.outvars, closed.jaxpr.eqns)
    )
    is_float = [jax.numpy.issubdtype(jax.numpy.result_type(c), jax.numpy.inexact) for c in closed.consts]

    def apart(leaves: Sequence[Any], *rest: Any) -> list[Any]:
        *further, arrays, constants = rest
        one, two = iter(arrays), iter(constants)
        consts = [next(one) if yes else next(two) for yes in is_float]
        values = dict(zip([*constvars, *invars], [*consts, *leaves, *further], strict=True))
        return _run_equations(eqns, values, outvars)

    floats = [jax.numpy.asarray(c) for c, yes in zip(closed.consts, is_float, strict=True) if yes]
    return apart, floats, [c for c, yes in zip(closed.consts, is_float, strict=True) if not yes]
