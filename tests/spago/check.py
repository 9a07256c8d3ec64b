"""Checks one golden case: outputs, and gradients of inputs and parameters."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago.golden import Case
from spago.registry import HANDLERS, Comparison, Computation
from spago_jax.errors import SpagoError

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
    """Computes a case here and compares.

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
        except (SpagoError, ValueError, TypeError, KeyError, NotImplementedError) as error:
            return Result(case, False, float("inf"), f"{type(error).__name__}: {str(error).splitlines()[0]}")
    if not parts:
        return Result(case, False, float("inf"), "nothing was compared")
    worst, passed = 0.0, True
    for label, ours, theirs, tolerance in parts:
        found = _error(ours, theirs)
        worst = max(worst, found)
        if not found <= tolerance:
            passed, note = False, f"{label}: {found:.1e} is more than {tolerance:.0e}"
    return Result(case, passed, worst, note)


Part = tuple[str, Any, np.ndarray, float]


def _computed(case: Case, made: Computation, dtype: str) -> tuple[list[Part], str]:
    tolerance = TOLERANCES[dtype]
    params = {name: jnp.asarray(value, dtype) for name, value in case.params.items()}
    inputs = [jnp.asarray(value, dtype) for _, value in case.inputs]

    def function(params: dict[str, Any], inputs: list[Any]) -> list[Any]:
        return list(made.function(params, inputs))

    wants_gradients = bool(case.output_grads) and case.status != "forward_only"
    cotangents = [jnp.asarray(grad, dtype) for grad in case.output_grads]

    def both(params: dict[str, Any], inputs: list[Any]) -> tuple[list[Any], Any]:
        outputs, pull = jax.vjp(function, params, inputs)
        return outputs, pull(cotangents)

    if wants_gradients:
        outputs, (of_params, of_inputs) = jax.jit(both)(params, inputs)
    else:
        outputs, of_params, of_inputs = jax.jit(function)(params, inputs), {}, []
    instead = made.instead
    right: Any = case.outputs
    if instead is not None and instead.outputs is not None:
        # The oracle is given what we are given: numbers rounded to the dtype.
        right = instead.outputs(
            dataclasses.replace(
                case, inputs=tuple((name, np.asarray(value.astype(dtype), np.float64)) for name, value in case.inputs)
            )
        )
    parts: list[Part] = [
        (f"output {i}", ours, theirs, tolerance) for i, (ours, theirs) in enumerate(zip(outputs, right, strict=True))
    ]
    if wants_gradients and instead is not None:
        parts += _against_differences(made, case, of_params, of_inputs, dtype)
    elif wants_gradients:
        loose = max(tolerance, made.gradient_tolerance)
        for (name, _), ours in zip(case.inputs, of_inputs, strict=True):
            if name in case.input_grads:
                parts.append((f"gradient of {name}", ours, case.input_grads[name], loose))
        for name, ours in of_params.items():
            theirs = case.param_grads.get(name, np.zeros(ours.shape))
            parts.append((f"gradient of {name}", ours, theirs, loose))
    return parts, "" if instead is None else instead.reason


def _against_differences(
    made: Computation, case: Case, of_params: dict[str, Any], of_inputs: list[Any], dtype: str
) -> Iterable[Part]:
    """Our gradients beside central differences of our function, in float64; for gradients that spaGO has wrong."""
    with jax.enable_x64(True):
        values = {**{f"param {k}": v for k, v in case.params.items()}, **{f"input {k}": v for k, v in case.inputs}}
        cotangents = [jnp.asarray(grad, "float64") for grad in case.output_grads]

        @jax.jit
        def loss(flat: dict[str, Any]) -> Any:
            params = {k.removeprefix("param "): v for k, v in flat.items() if k.startswith("param ")}
            outputs = made.function(params, [flat[f"input {name}"] for name, _ in case.inputs])
            return sum(jnp.sum(y * g) for y, g in zip(outputs, cotangents, strict=True))

        ours = {**{f"param {k}": v for k, v in of_params.items()}}
        ours |= {f"input {name}": grad for (name, _), grad in zip(case.inputs, of_inputs, strict=True)}
        found = []
        for name, value in values.items():
            slopes = np.zeros(value.size)
            for at in range(value.size):
                step = np.zeros(value.size)
                step[at] = _STEP
                ends = [loss({**values, name: value + sign * step.reshape(value.shape)}) for sign in (1, -1)]
                slopes[at] = (float(ends[0]) - float(ends[1])) / (2 * _STEP)
            tolerance = max(TOLERANCES[dtype], _DIFFERENCES)
            found.append((f"gradient of {name}", ours[name], slopes.reshape(value.shape), tolerance))
        return found


def _error(ours: Any, theirs: np.ndarray) -> float:
    ours = np.asarray(ours, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(f"shape {list(ours.shape)}, spaGO has {list(theirs.shape)}")
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        errors = np.where(same, 0.0, np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)))
    return float(np.max(errors, initial=0.0)) if not np.isnan(errors).any() else float("inf")


__all__ = ["Comparison", "Result", "check"]
