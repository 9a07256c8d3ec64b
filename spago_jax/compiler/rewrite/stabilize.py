# SPDX-License-Identifier: BSD-2-Clause
"""stabilize: formulas that lose their digits, or overflow, become functions that do not, before differentiation."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.jaxprs import ClosedJaxpr, JaxprEqn, Var
from spago_jax.compiler.rewrite.definitions import Definitions
from spago_jax.compiler.rewrite.nested import descend, inline_calls
from spago_jax.compiler.rewrite.patterns import STABILITY
from spago_jax.compiler.rewrite.report import Rewrite
from spago_jax.compiler.rewrite.rules import Pass, live_matches

_MOST_PASSES = 20  # a rewrite may make room for the next, as 1 - sigmoid(x) below a logarithm; few levels deep


class Stabilized(NamedTuple):
    """A program whose unstable formulas were replaced, and the list of what was."""

    closed: ClosedJaxpr
    rewrites: tuple[Rewrite, ...]


def stabilize(closed: ClosedJaxpr, names: Sequence[str] = ()) -> Stabilized:
    """Replaces formulas that overflow or cancel; a value that others use too stays for them as it was.

    Constants are matched by value, however they are written; calls are seen through; the bodies of loops and
    branches are rewritten too. A function with a derivative of its own (``jax.custom_jvp``) is left as it is.

    Args:
        closed: the program, before differentiation: the derivatives are part of the repair.
        names: of its inputs, for the report.
    """
    rewrites: list[Rewrite] = []
    return Stabilized(_stabilized(closed, {}, rewrites, names), tuple(rewrites))


def _stabilized(
    closed: ClosedJaxpr, known: Mapping[Var, np.ndarray], rewrites: list[Rewrite], names: Sequence[str]
) -> ClosedJaxpr:
    start = len(rewrites)
    flat = inline_calls(closed)
    inputs = closed.jaxpr.invars
    for _ in range(_MOST_PASSES):
        found = len(rewrites)
        at = dict(zip(inputs, flat.jaxpr.invars, strict=True))
        flat = _one_pass(flat, {at[var]: value for var, value in known.items()}, rewrites, names)
        if len(rewrites) == found:
            break
    return flat if len(rewrites) > start else closed


def _one_pass(
    closed: ClosedJaxpr, known: Mapping[Var, np.ndarray], rewrites: list[Rewrite], names: Sequence[str]
) -> ClosedJaxpr:
    defs = Definitions(closed, names, known)
    step = Pass(defs, STABILITY, rewrites)
    chosen = live_matches(defs, STABILITY)

    def body(inner: ClosedJaxpr, values: Mapping[Var, np.ndarray]) -> ClosedJaxpr:
        return _stabilized(inner, values, rewrites, ())

    def rule(eqn: JaxprEqn, given: list[Any]) -> Sequence[Any] | None:
        step.record_inputs(eqn, given)
        return (step.apply(eqn) if id(eqn) in chosen else None) or descend(eqn, given, defs, body)

    # what only the old formulas needed goes, so that the next pass does not rewrite it
    return jaxprs.without_dead(jaxprs.retrace(closed, rule))


def stabilized(function: Callable[..., Any], static: Sequence[str] = ()) -> Callable[..., Any]:
    """Returns the same function with its unstable formulas replaced, each time that it is traced.

    It works under ``jax.jit``, ``jax.grad`` and ``jax.vmap``. It traces at every call, so put ``jax.jit`` or
    ``sj.compile`` around it (or use ``sj.compile(f, stabilize=True)``).

    Args:
        function: pure; arguments that are not arrays are passed on as they are.
        static: the names of arguments whose numbers are settings, and passed on as well.

    >>> naive = lambda x: jnp.log(1 + jnp.exp(x))
    >>> float(naive(800.0)), float(stabilized(naive)(800.0)), float(jax.grad(stabilized(naive))(800.0))
    (inf, 800.0, 1.0)
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        settings: dict[str, Any] = {}
        given: Any = (args, kwargs)
        bound = inspect.signature(function).bind(*args, **kwargs) if static else None
        if bound is not None:
            settings = {name: bound.arguments[name] for name in static if name in bound.arguments}
            given = {name: value for name, value in bound.arguments.items() if name not in settings}
        leaves, tree = jax.tree.flatten(given)
        dynamic = [_is_dynamic(leaf) for leaf in leaves]

        def flat(*values: Any) -> Any:
            numbers = iter(values)
            every = [next(numbers) if is_array else leaf for leaf, is_array in zip(leaves, dynamic, strict=True)]
            again = jax.tree.unflatten(tree, every)
            if bound is not None:
                bound.arguments.update({**again, **settings})
                return function(*bound.args, **bound.kwargs)
            args, kwargs = again
            return function(*args, **kwargs)

        arrays = [leaf for leaf, is_array in zip(leaves, dynamic, strict=True) if is_array]
        closed, shape = jaxprs.trace(flat, *arrays)
        outputs = jaxprs.run(stabilize(closed).closed, arrays)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return wrapper


def _is_dynamic(leaf: object) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | int | float | complex) and not isinstance(leaf, bool)
