"""The accuracy of every rule of ``stabilize``, measured: ``python tests/compiler/rewrite/stability_proof.py``.

Each formula is computed in float32 as written and as repaired, and both are compared with float64, for values and for
derivatives, at inputs over the whole float32 range.
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

import jax
import numpy as np
from stability_cases import CASES, Case

from spago_jax.compiler.rewrite.stabilize import stabilized

SMALLEST, LARGEST = 1.1754944e-38, 3.4028235e38
_DENORMAL = (1e-45, -1e-45, 1e-40, -1e-40)
_SPECIAL = (0.0, -0.0, 1.0, -1.0, *_DENORMAL, SMALLEST, -SMALLEST, LARGEST, -LARGEST, 88.0, 89.0, -88.0, -104.0)
NO_DIGITS = 0.1  # a relative error above this leaves less than one digit


@dataclasses.dataclass(frozen=True)
class Measured:
    """One quantity of one rule: the failures of both forms, and the largest error of the repaired one.

    Attributes:
        naive_failures: results that are not finite, or have less than one right digit, where the truth is a float32.
        failures: the same of the repaired form.
        error: the largest relative error of the repaired form; of numbers below the normal range, none.
        compared: how many results have a float32 truth.
    """

    naive_failures: int
    failures: int
    error: float
    compared: int


def inputs(case: Case, count: int = 1000, seed: int = 0) -> np.ndarray:
    """``[count, size]`` float32 numbers: special ones, half log-uniform over all magnitudes, the rest within 100."""
    rng = np.random.default_rng(seed)
    shape = (count, case.size)
    magnitude = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), shape))
    wide = magnitude * rng.choice((-1.0, 1.0), shape)
    x = np.where(rng.random((count, 1)) < 0.5, wide, rng.uniform(-100, 100, shape))
    close = rng.random((count, 1)) < 0.2  # about one: where 1 - x and x - y cancel
    x = np.where(close, rng.choice((-1.0, 1.0), shape) * (1 + rng.normal(0, 1e-3, shape)), x)
    for i, special in enumerate(_SPECIAL):
        x[i] = special
        x[len(_SPECIAL) + i, 0] = special
    x32 = case.domain(np.asarray(x, np.float32))
    return np.where(np.abs(x32) < SMALLEST, np.float32(0) * x32, x32).astype(np.float32)  # as the hardware reads it


def measure(case: Case, count: int = 1000) -> tuple[Measured, Measured]:
    """The measurements of a rule's value and of its derivatives."""
    x = inputs(case, count)
    exact = x.astype(np.float64)
    with np.errstate(all="ignore"):
        value, gradient = case.value(exact), case.gradient(exact)
        condition = np.sum(np.abs(exact * gradient), -1) if case.conditioned else np.zeros(len(x))
        condition = np.where(np.isfinite(condition), condition, 0)
    outcomes = []
    for function in (case.naive, stabilized(case.naive)):
        values = jax.jit(jax.vmap(function))(x)
        gradients = jax.jit(jax.vmap(jax.grad(function)))(x)
        outcomes.append((np.asarray(values, np.float64), np.asarray(gradients, np.float64)))
    (naive_value, naive_gradient), (good_value, good_gradient) = outcomes
    scale = _gradient_scale(case, exact, gradient)
    return (
        _compare(naive_value, good_value, value, condition, case.size),
        _compare(naive_gradient, good_gradient, gradient, scale, case.size),
    )


def _gradient_scale(case: Case, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """How much each derivative moves when x is rounded: ``sum_j |x_j d2f / dx_i dx_j|``, by differences."""
    if not case.conditioned:
        return np.zeros_like(gradient)
    scale = np.zeros_like(gradient)
    with np.errstate(all="ignore"):
        for j in range(case.size):
            moved = x.copy()
            moved[:, j] *= 1 + 2.0**-20
            scale += np.abs(case.gradient(moved) - gradient) * 2.0**20
    return np.where(np.isfinite(scale), scale, 0)


def _compare(naive: np.ndarray, good: np.ndarray, truth: np.ndarray, scale: np.ndarray, terms: int) -> Measured:
    slack = 4 * terms * SMALLEST  # terms and factors below the normal range are flushed to zero by the hardware
    regular = np.isfinite(truth) & (np.abs(truth) <= LARGEST)
    size = np.maximum(np.maximum(np.abs(truth), scale), SMALLEST)

    def errors(got: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            error = np.maximum(np.abs(got - truth) - slack, 0) / size
        return np.where(np.isfinite(got), error, np.inf)[regular]

    bad, found = errors(naive), errors(good)
    return Measured(
        int((bad > NO_DIGITS).sum()), int((found > NO_DIGITS).sum()), float(found.max()), int(regular.sum())
    )  # fmt: skip


def table(cases: tuple[Case, ...] = CASES, count: int = 1000) -> str:
    """The measurements as a table in Markdown."""
    lines = [
        "| rule | values: naive fails | repaired fails | largest error | "
        "derivatives: naive fails | repaired fails | largest error |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        value, gradient = measure(case, count)
        cells = [f"`{case.rule}`" + (" *" if case.conditioned else "")]
        for m in (value, gradient):
            cells += [f"{m.naive_failures} of {m.compared}", str(m.failures), f"{m.error:.1e}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


MARK, END = "<!-- table: python tests/compiler/rewrite/stability_proof.py -->", "<!-- end -->"


def main() -> int:
    """Prints the table, or writes it into a page between its marks."""
    parser = argparse.ArgumentParser(description="The accuracy of every rule of stabilize, against float64.")
    parser.add_argument("--write", type=Path, help="put the table into this page, after its marker")
    args = parser.parse_args()
    text = table()
    print(text)
    if args.write:
        head, mark, tail = args.write.read_text("utf-8").partition(MARK)
        rest = tail.partition(END)[2]
        beside = args.write.with_suffix(".tmp")
        beside.write_text(f"{head}{mark}\n{text}\n{END}{rest}", "utf-8")
        os.replace(beside, args.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
