# SPDX-License-Identifier: BSD-2-Clause
"""Constant folding: what depends on constants alone is computed once, where its result is small."""

import math
from typing import Any

import jax
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.jaxprs import JaxprEqn
from spago_jax.compiler.rewrite.definitions import Definitions, type_of

FOLD_LIMIT = 64  # elements: a larger constant is cheaper computed than carried in every compiled program

_GENERATORS = ("iota", "broadcast_in_dim")  # they are constants already, written in no space
_NEVER = ("custom_jvp_call", "custom_vjp_call", "stop_gradient", "optimization_barrier", "copy")


def fold(defs: Definitions, eqn: JaxprEqn) -> list[Any] | None:
    """Returns the outputs of an equation of constants, computed now; None where it is none, or they would be large."""
    if eqn.effects or not eqn.invars or eqn.primitive.name in (*_GENERATORS, *_NEVER) or jaxprs.subprograms(eqn):
        return None
    if any(part in eqn.primitive.name for part in ("rng", "random", "callback", "ref")):
        return None
    types = [type_of(atom) for atom in (*eqn.outvars, *eqn.invars)]
    if any(not _plain(aval) or math.prod(aval.shape) > FOLD_LIMIT for aval in types):
        return None
    values = [defs.constant(atom) for atom in eqn.invars]
    if any(value is None for value in values):
        return None
    given = [np.asarray(value, type_of(atom).dtype) for value, atom in zip(values, eqn.invars, strict=True)]
    with jax.ensure_compile_time_eval():
        outputs = [np.asarray(output) for output in jaxprs.bind(eqn, given)]
    typed = [_typed(output, type_of(var)) for output, var in zip(outputs, eqn.outvars, strict=True)]
    return None if any(value is None for value in typed) else typed


def _plain(aval: object) -> bool:
    return isinstance(getattr(aval, "dtype", None), np.dtype)


def _typed(value: np.ndarray, aval: object) -> Any:
    """Returns a constant of just the type that the equation had: Python numbers are the weakly typed ones."""
    if not getattr(aval, "weak_type", False):
        return value if value.ndim else value[()]
    scalar = value.item() if value.ndim == 0 and value.dtype.kind in "fi" else None
    return scalar if scalar is not None and jax.numpy.result_type(scalar) == value.dtype else None
