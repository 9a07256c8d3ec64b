# SPDX-License-Identifier: BSD-2-Clause
"""What one operation costs: floating point operations, transcendental functions, bytes."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import jaxprs
from spago_jax.compiler.primitives import CUMULATIVE, ELEMENTWISE, REDUCTIONS, TRANSCENDENTAL, words
from spago_jax.core.show import amount, memory


@dataclasses.dataclass(frozen=True)
class Work:
    """What operations cost, counted before XLA fuses them.

    Attributes:
        flops: floating point additions, multiplications, comparisons; a multiply-add counts as 2.
        transcendentals: values of exp, log, tanh, sqrt, ..., which are not among the ``flops``.
        bytes: read and written, if every operand came from memory: an upper bound.
        exact: False where it is a lower bound: a while loop counts as one iteration.

    >>> print(Work(flops=2e6, bytes=1024) * 3)
    6 MFLOP, 3 KiB
    """

    flops: float = 0.0
    transcendentals: float = 0.0
    bytes: float = 0.0
    exact: bool = True

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.flops + other.flops,
            self.transcendentals + other.transcendentals,
            self.bytes + other.bytes,
            self.exact and other.exact,
        )

    def __mul__(self, times: float) -> "Work":
        return Work(self.flops * times, self.transcendentals * times, self.bytes * times, self.exact)

    def __str__(self) -> str:
        parts = [amount(self.flops, "FLOP")]
        if self.transcendentals:
            parts.append(f"{amount(self.transcendentals)} transcendental")
        return ("" if self.exact else "at least ") + ", ".join([*parts, memory(self.bytes)])


_UPDATES = words("scatter-add scatter_add scatter-mul scatter_mul scatter-min scatter_min scatter-max")


def array_bytes(aval: Any) -> int:
    """Returns the bytes of an array of an abstract value; 0 for anything else."""
    if not hasattr(aval, "shape"):
        return 0
    return math.prod(aval.shape) * getattr(getattr(aval, "dtype", None), "itemsize", 0)


def of_equation(eqn: jaxprs.JaxprEqn, inner: Sequence[Work]) -> Work:
    """What one equation costs.

    Args:
        eqn: the equation.
        inner: the costs of its bodies, in the order of ``jaxprs.subprograms``.
    """
    read = dict.fromkeys(atom for atom in eqn.invars if isinstance(atom, jaxprs.Var))
    moved = float(sum(array_bytes(var.aval) for var in (*read, *eqn.outvars)))
    if loop := jaxprs.scan_loop(eqn):
        return inner[0] * loop.length
    if jaxprs.while_loop(eqn):
        return dataclasses.replace(sum(inner, Work()), exact=False)
    if jaxprs.branches(eqn):
        return Work(
            max(work.flops for work in inner),
            max(work.transcendentals for work in inner),
            max(work.bytes for work in inner),
            all(work.exact for work in inner),
        )
    if inner and eqn.primitive.name == "custom_linear_solve":  # its other bodies are the derivative's
        return inner[-2] if len(inner) > 2 else inner[0]
    if inner:
        return sum(inner, Work())
    flops, transcendentals, exact = _counted(eqn)
    return Work(float(flops), float(transcendentals), moved, exact)


def _counted(eqn: jaxprs.JaxprEqn) -> tuple[float, float, bool]:
    name = eqn.primitive.name
    ins: list[Any] = [atom.aval for atom in eqn.invars]
    outs: list[Any] = [var.aval for var in eqn.outvars]
    if not any(_floats(aval) for aval in (*ins, *outs)):
        return 0, 0, True
    count = math.prod(outs[0].shape) if outs and hasattr(outs[0], "shape") else 0
    if name in TRANSCENDENTAL:
        return 0, count, True
    if name in ELEMENTWISE:
        return count, 0, True
    if name == "integer_pow":  # by repeated squaring
        power = abs(int(eqn.params["y"]))
        return count * (power.bit_length() + power.bit_count() - 2 + (eqn.params["y"] < 0)), 0, True
    if name in REDUCTIONS:
        return math.prod(ins[0].shape) - count, 0, True
    if name == "cumlogsumexp":
        return 2 * count, 2 * count, True
    if name in CUMULATIVE:
        axis = ins[0].shape[eqn.params["axis"]]
        return count - (count // axis if axis else 0), 0, True
    if name == "dot_general":
        (left, _), _ = eqn.params["dimension_numbers"]
        return 2 * count * math.prod(ins[0].shape[axis] for axis in left), 0, True
    if name == "conv_general_dilated":
        return _convolution(eqn), 0, True
    if name in _UPDATES:
        return math.prod(ins[2].shape), 0, True
    if name.startswith("reduce_window"):
        return count * (math.prod(eqn.params["window_dimensions"]) - 1), 0, True
    if name.startswith("select_and_scatter"):
        return math.prod(ins[0].shape) * math.prod(eqn.params["window_dimensions"]), 0, True
    if name == "sort":
        length = ins[0].shape[eqn.params["dimension"]]
        return math.prod(ins[0].shape) * max(length - 1, 0).bit_length(), 0, True
    if name in _SOLVERS:
        return _SOLVERS[name](ins), 0, True
    if name == "fft":
        points = math.prod(eqn.params["fft_lengths"])
        return 5 * math.prod(ins[0].shape) * math.log2(max(points, 1)), 0, True
    return 0, 0, name not in _OPAQUE


# Leading terms, as in LAPACK's working notes; the batch is in the product.
_SOLVERS = {
    "cholesky": lambda ins: math.prod(ins[0].shape) * ins[0].shape[-1] / 3,
    "lu": lambda ins: math.prod(ins[0].shape) * min(ins[0].shape[-2:]) * 2 / 3,
    "geqrf": lambda ins: math.prod(ins[0].shape) * min(ins[0].shape[-2:]) * 4 / 3,
    "qr": lambda ins: math.prod(ins[0].shape) * min(ins[0].shape[-2:]) * 4 / 3,
    "householder_product": lambda ins: math.prod(ins[0].shape) * min(ins[0].shape[-2:]) * 4 / 3,
    "triangular_solve": lambda ins: math.prod(ins[1].shape) * ins[0].shape[-1],
    "eigh": lambda ins: math.prod(ins[0].shape) * ins[0].shape[-1] * 9,
    "svd": lambda ins: math.prod(ins[0].shape) * min(ins[0].shape[-2:]) * 21,
    "eig": lambda ins: math.prod(ins[0].shape) * ins[0].shape[-1] * 25,
}
_OPAQUE = words("pallas_call pure_callback io_callback ffi_call custom_call approx_top_k top_k")


def _floats(aval: Any) -> bool:
    return hasattr(aval, "dtype") and jnp.issubdtype(aval.dtype, jnp.inexact)


def _convolution(eqn: jaxprs.JaxprEqn) -> float:
    """2 x outputs x inputs of a group x the pairs of output and kernel positions that meet an input, not padding."""
    params = eqn.params
    numbers = params["dimension_numbers"]
    avals: list[Any] = [eqn.invars[0].aval, eqn.invars[1].aval, eqn.outvars[0].aval]
    lhs, rhs, out = (aval.shape for aval in avals)
    pairs = 1
    for axis, (low, _) in enumerate(params["padding"]):
        length = lhs[numbers.lhs_spec[2 + axis]]
        kernel = np.arange(rhs[numbers.rhs_spec[2 + axis]]) * params["rhs_dilation"][axis]
        starts = np.arange(out[numbers.out_spec[2 + axis]]) * params["window_strides"][axis] - low
        at = starts[:, None] + kernel[None, :]
        dilation = params["lhs_dilation"][axis]
        pairs *= int(((at >= 0) & (at <= (length - 1) * dilation) & (at % dilation == 0)).sum())
    return 2.0 * out[numbers.out_spec[0]] * out[numbers.out_spec[1]] * rhs[numbers.rhs_spec[1]] * pairs
