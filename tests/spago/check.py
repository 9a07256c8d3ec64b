"""Checks one golden case: outputs, and gradients of inputs and parameters."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from spago.conventions import by_our_conventions
from spago.golden import Case
from spago.registry import HANDLERS, Computation, Function, Params
from spago_jax.core import Array

TOLERANCES = {"float64": 1e-9, "float32": 2e-5}
_STEP = 1e-6  # of central differences
_DIFFERENCES = 1e-6  # what they are good for


@dataclasses.dataclass(frozen=True)
class Result:
    """How a case went.

    Attributes:
        case: which.
        passed: whether every number is within its tolerance.
        error: the largest ``|ours - theirs| / max(1, |theirs|)``.
        note: why it failed, or what spaGO has wrong where it passed against another oracle.
    """

    case: Case
    passed: bool
    error: float
    note: str = ""

    def __str__(self) -> str:
        note = f"  # {self.note}" if self.note else ""
        return f"{'PASS' if self.passed else 'FAIL'} {self.case} {self.error:.1e}{note}"


def check(case: Case, dtype: str = "float64") -> Result:
    """Computes a case here and compares; a case that cannot be computed has failed, and its note says why.

    Args:
        case: what spaGO computed.
        dtype: float64 within 1e-9 (1e-6 for central differences and rounded constants), or float32 within 2e-5.
    """
    handler = HANDLERS.get(case.file)
    if handler is None:
        return Result(case, False, float("inf"), "this file is not known here")
    with jax.enable_x64(dtype == "float64"):
        try:
            made = handler(case)
            if isinstance(made, Computation):
                parts, note = _computed(case, made, dtype)
            else:
                parts, note = [(label, ours, theirs, TOLERANCES[dtype]) for label, ours, theirs in made], ""
            found = [(label, _error(ours, theirs), tolerance) for label, ours, theirs, tolerance in parts]
        except Exception as error:  # whatever a case of another form leads to, the other cases are still checked
            reason = str(error).partition("\n")[0]
            return Result(case, False, float("inf"), f"{type(error).__name__}: {reason}")
    if not found:
        return Result(case, False, float("inf"), "nothing was compared")
    worst = max(error for _, error, _ in found)
    failures = [f"{label}: {error:.1e} is more than {limit:.0e}" for label, error, limit in found if not error <= limit]
    return Result(case, not failures, worst, failures[-1] if failures else note)


Part = tuple[str, Any, np.ndarray, float]
Compiled = tuple[Callable[..., Any], Callable[..., Any]]
_compiled: dict[Any, Compiled] = {}  # of one file at a time


def _programs(case: Case, made: Computation, dtype: str) -> Compiled:
    """The jitted functions of a case, shared with the cases that differ from it only in their numbers.

    The first gives the outputs and, with cotangents, the gradients; the second central differences of the loss.
    """

    def shapes(named: Iterable[tuple[str, np.ndarray]]) -> tuple[Any, ...]:
        return tuple((name, value.shape) for name, value in named)

    key = (
        case.file, case.id.rpartition("/")[0], json.dumps(case.config, sort_keys=True), shapes(case.params.items()),
        shapes(case.inputs), tuple((name, value.tobytes()) for name, value in case.buffers.items()),
        tuple(sorted(made.settings.items())), dtype,
    )  # fmt: skip
    if key not in _compiled:
        if any(other[0] != case.file for other in _compiled):
            _compiled.clear()
        _compiled[key] = jax.jit(functools.partial(_both, made.function)), jax.jit(functools.partial(_slopes, made))
    return _compiled[key]


def _both(function: Function, params: Params, inputs: list[Array], cotangents: list[Array] | None) -> Any:
    if cotangents is None:
        return list(function(params, inputs)), ({}, [])
    outputs, pull = jax.vjp(lambda params, inputs: list(function(params, inputs)), params, inputs)
    return outputs, pull(cotangents)


def _computed(case: Case, made: Computation, dtype: str) -> tuple[list[Part], str]:
    tolerance = TOLERANCES[dtype]
    params = {name: np.asarray(value, dtype) for name, value in case.params.items()}
    inputs = [np.asarray(value, dtype) for _, value in case.inputs]
    wants_gradients = bool(case.output_grads) and case.status != "forward_only"
    cotangents = [np.asarray(grad, dtype) for grad in case.output_grads] if wants_gradients else None
    both, differences = _programs(case, made, dtype)
    outputs, (of_params, of_inputs) = both(params, inputs, cotangents)
    instead = made.instead
    expected = case if instead is not None else by_our_conventions(case, made.settings)
    right: Sequence[np.ndarray] = expected.outputs
    if instead is not None and instead.outputs is not None:
        # The oracle is given what we are given: numbers rounded to the dtype.
        rounded = tuple((name, np.asarray(value.astype(dtype), np.float64)) for name, value in case.inputs)
        right = instead.outputs(dataclasses.replace(case, inputs=rounded))
    parts: list[Part] = [
        (f"output {i}", ours, theirs, tolerance) for i, (ours, theirs) in enumerate(zip(outputs, right, strict=True))
    ]
    if wants_gradients and instead is not None:
        # spaGO has these gradients wrong: ours are held against central differences of our function, in float64.
        with jax.enable_x64(True):
            slopes = differences(case.params, [value for _, value in case.inputs], list(case.output_grads))
        ours = {**of_params, **{name: grad for (name, _), grad in zip(case.inputs, of_inputs, strict=True)}}
        theirs = {**slopes[0], **{name: slope for (name, _), slope in zip(case.inputs, slopes[1], strict=True)}}
        loose = max(tolerance, _DIFFERENCES)
        parts += [(f"gradient of {name}", ours[name], np.asarray(theirs[name]), loose) for name in ours]
    elif wants_gradients:
        loose = max(tolerance, made.gradient_tolerance)
        for (name, _), ours in zip(case.inputs, of_inputs, strict=True):
            if name in expected.input_grads:
                theirs = expected.input_grads[name]
                open_here = np.isnan(theirs) & ~np.isnan(case.input_grads[name])  # by our table of kinks
                parts.append((f"gradient of {name}", ours, np.where(open_here, np.asarray(ours), theirs), loose))
        for name, ours in of_params.items():
            theirs = case.param_grads.get(name, np.zeros(ours.shape))
            parts.append((f"gradient of {name}", ours, theirs, loose))
    return parts, "" if instead is None else instead.reason


def _slopes(made: Computation, params: Params, inputs: list[Array], cotangents: list[Array]) -> Any:
    """Central differences of the loss by every number, all of them at once."""
    at, restored = ravel_pytree((params, inputs))

    def loss(numbers: Array) -> Array:
        outputs = made.function(*restored(numbers))
        return sum(jnp.sum(y * g) for y, g in zip(outputs, cotangents, strict=True))

    steps = _STEP * jnp.eye(at.size)
    return restored((jax.vmap(loss)(at + steps) - jax.vmap(loss)(at - steps)) / (2 * _STEP))


def _error(ours: Any, theirs: np.ndarray) -> float:
    ours = np.asarray(ours, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"shape {list(ours.shape)}, spaGO has {list(theirs.shape)}")
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        errors = np.where(same, 0.0, np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)))
    return float(np.max(errors, initial=0.0)) if not np.isnan(errors).any() else float("inf")
