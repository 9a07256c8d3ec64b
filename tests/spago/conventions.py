"""Ties and kinks: where a function has no derivative, and spaGO and JAX choose differently.

Both choices are right in the sense that any number between the two one-sided derivatives is. A golden case that stands
at such a point is held against this library's choice there, and against spaGO's numbers everywhere else; that spaGO's
number is the one of the table is checked in the same step, because only the difference of the two is added.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from spago.activations import our_activation
from spago.golden import Case

Settings = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Kink:
    """The derivative of a function at some points, there and here; NaN where rounding decides which side it is of."""

    function: str
    points: tuple[float, ...]
    theirs: Callable[[Settings], float]
    ours: Callable[[Settings], float]
    text: tuple[str, str]


KINKS = {
    kink.function: kink
    for kink in (
        Kink("relu", (0.0,), lambda c: 1.0, lambda c: 0.0, ("1", "0")),
        Kink("leaky_relu", (0.0,), lambda c: c["alpha"], lambda c: 1.0, ("alpha", "1")),
        Kink("hard_tanh", (-1.0, 1.0), lambda c: 0.0, lambda c: 1.0, ("0", "1")),
        Kink(
            "hard_sigmoid_keras",
            (-2.5, 2.5),
            lambda c: 0.0,
            lambda c: math.nan,
            ("0", "0, 0.1 or 0.2 by rounding"),
        ),
        Kink("abs", (0.0,), lambda c: 0.0, lambda c: 1.0, ("0", "1")),
    )
}

TIES = {
    "op.Max": "nothing to either operand",
    "op.Min": "nothing to either operand",
    "op.Maximum": "the list is folded by Max: nothing to those that tie when they meet",
    "op.Minimum": "the list is folded by Min: nothing to those that tie when they meet",
    "op.ScalarMax": "all of it to the first of the largest",
    "op.ReduceMax": "all of it to the first of the largest",
}
OUR_TIES = "equal parts to those that tie"


def table() -> str:
    """Both tables in Markdown, as they stand in ``docs/spago.md``."""
    lines = ["| derivative of | at | spaGO | here |", "|---|---|---|---|"]
    for kink in KINKS.values():
        points = ", ".join(f"{point:g}" for point in kink.points)
        lines.append(f"| `{kink.function}` | {points} | {kink.text[0]} | {kink.text[1]} |")
    lines.append("| `log`, also its value | 0 | 1e8, log(1e-8) in 0.7 | inf, -inf |")
    lines += ["", "| gradient at a tie of | spaGO | here |", "|---|---|---|"]
    lines += [f"| `{file.removeprefix('op.')}` | {theirs} | {OUR_TIES} |" for file, theirs in TIES.items()]
    return "\n".join(lines)


def by_our_conventions(case: Case, settings: Settings) -> Case:
    """The case with spaGO's choice at ties and kinks replaced by ours; the case itself where it stands at none.

    Args:
        case: as spaGO computed it.
        settings: the values of its activation's parameters, by name.
    """
    if not case.output_grads or case.status in ("forward_only", "spago_bug"):
        return case
    if case.file in TIES:
        return _at_ties(case)
    if case.file == "op.Log" and case.version.startswith("v0"):
        return _log_of_zero(case)
    name = str(case.config["activation"]) if case.file == "nn.activation" else case.file.removeprefix("op.")
    kink = KINKS.get(_function(name))
    if kink is None or case.file not in ("nn.activation", f"op.{name}"):
        return case
    grads = dict(case.input_grads)
    for (operand, x), gy in zip(case.inputs, case.output_grads, strict=False):
        at = np.isin(x, kink.points)
        if operand in grads and at.any():
            grads[operand] = grads[operand] + np.where(at, (kink.ours(settings) - kink.theirs(settings)) * gy, 0.0)
    return dataclasses.replace(case, input_grads=grads)


def _function(name: str) -> str:
    return "abs" if name == "Abs" else our_activation(name) if name in _ACTIVATIONS else ""


_ACTIVATIONS = {"ReLU", "LeakyReLU", "HardTanh", "HardSigmoid"}


def _at_ties(case: Case) -> Case:
    gy = case.output_grads[0]
    many = case.file != "op.ReduceMax"
    operands = np.stack([x for _, x in case.inputs]) if many else case.inputs[0][1].reshape(-1, 1, 1)
    if case.file in ("op.Min", "op.Minimum"):
        operands = -operands
    moved = (_shares(operands) - _spago_shares(case.file, operands)) * gy
    parts = list(moved) if many else [moved.reshape(case.inputs[0][1].shape)]
    grads = {
        name: case.input_grads[name] + part if name in case.input_grads else np.zeros_like(part)
        for (name, _), part in zip(case.inputs, parts, strict=True)
    }
    return dataclasses.replace(case, input_grads={name: grads[name] for name in case.input_grads})


def _shares(operands: np.ndarray) -> np.ndarray:
    largest = operands == operands.max(axis=0)
    return largest / largest.sum(axis=0)


def _spago_shares(file: str, operands: np.ndarray) -> np.ndarray:
    if file in ("op.ScalarMax", "op.ReduceMax"):
        return (np.arange(len(operands)).reshape(-1, 1, 1) == operands.argmax(axis=0)).astype(float)
    shares, top = np.ones_like(operands[:1]), operands[0]
    for x in operands[1:]:
        shares = np.concatenate([shares * (top > x), (x > top)[None]])
        top = np.maximum(top, x)
    return shares


def _log_of_zero(case: Case) -> Case:
    ((name, x),), (y,), (gy,) = case.inputs, case.outputs, case.output_grads
    zero = x == 0
    if not zero.any() or not np.allclose(y[zero], math.log(1e-8), rtol=1e-12):
        return case
    with np.errstate(divide="ignore"):
        grad = np.where(zero, gy / np.abs(x), case.input_grads[name])
    return dataclasses.replace(case, outputs=(np.where(zero, -np.inf, y),), input_grads={name: grad})
