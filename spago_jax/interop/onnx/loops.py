# SPDX-License-Identifier: BSD-2-Clause
"""Loops and branches: their programs become sub-graphs, which read what they do not change from around them."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from jax.typing import DTypeLike

from spago_jax.compiler.jaxprs import JaxprEqn, scan_loop
from spago_jax.interop.onnx.buffers import Buffer, collected
from spago_jax.interop.onnx.graph import Graph, Value
from spago_jax.interop.onnx.table import Equation, Variable, converts


class _Type:
    def __init__(self, dtype: DTypeLike, shape: tuple[Any, ...]):
        self.dtype, self.shape = np.dtype(dtype), shape


def _types(atoms: Sequence[Variable]) -> list[_Type]:
    return [_Type(atom.aval.dtype, atom.aval.shape) for atom in atoms]


@converts("scan")
def scan(g: Graph, eqn: Equation, *inputs: Value) -> list[Value]:
    """``Scan``: a state, and slices of the inputs and outputs along their first axis."""
    params, loop = eqn.params, scan_loop(cast(JaxprEqn, eqn))
    assert loop is not None
    consts, carry = loop.constants, loop.carried
    held, start, slices = list(inputs[:consts]), list(inputs[consts : consts + carry]), list(inputs[consts + carry :])
    jaxpr = params["jaxpr"]
    types = _types(jaxpr.jaxpr.invars[consts:])
    counted = not slices  # ONNX wants something to pass over
    if counted:
        end = g.node("Squeeze", g.dim(params["length"]), g.ints(0))
        slices = [g.node("Range", np.zeros((), np.int64), end, np.ones((), np.int64))]
        types.append(_Type(np.int64, ()))

    def build(names: list[Value]) -> list[Any]:
        found = g.convert(jaxpr, [*held, *(names[:-1] if counted else names)])
        return list(zip(found, _types(jaxpr.jaxpr.outvars), strict=True))

    body = g.body("step", types, build)
    outputs = len(jaxpr.jaxpr.outvars)
    direction = int(params["reverse"])
    if not outputs:
        return []
    return list(
        g.nodes_out(
            "Scan",
            outputs,
            *start,
            *slices,
            body=body,
            num_scan_inputs=len(slices),
            scan_input_directions=[direction] * len(slices),
            scan_output_directions=[direction] * (outputs - carry) or None,
        )
    )


@converts("while")
def while_(g: Graph, eqn: Equation, *inputs: Value) -> list[Value]:
    """``Loop`` with a condition and no count."""
    params = eqn.params
    test_consts, body_consts = params["cond_nconsts"], params["body_nconsts"]
    test_held = list(inputs[:test_consts])
    held = list(inputs[test_consts : test_consts + body_consts])
    start = list(inputs[test_consts + body_consts :])
    test, body = params["cond_jaxpr"], params["body_jaxpr"]
    buffers = collected(test, body, test_consts, body_consts)
    plain = [number for number in range(len(start)) if number not in buffers]
    all_types = _types(eqn.outvars)
    types = [_Type(np.int64, ()), _Type(bool, ()), *(all_types[number] for number in plain)]

    def build(names: list[Value]) -> list[Any]:
        values: list[Any] = [Buffer()] * len(start)
        for number, name in zip(plain, names[2:], strict=True):
            values[number] = name
        found: list[Any] = g.convert(body, [*held, *values])
        (goes_on,) = g.convert(test, [*test_held, *found])
        outputs = [(goes_on, _Type(bool, ())), *((found[number], all_types[number]) for number in plain)]
        for number in sorted(buffers):
            row = all_types[number]
            outputs.append((found[number].place, _Type(np.int64, (1,))))
            squeezed = g.node("Squeeze", found[number].row, g.ints(0))
            outputs.append((squeezed, _Type(row.dtype, row.shape[1:])))
        return outputs

    (first,) = g.convert(test, [*test_held, *start])
    inputs_kept = [start[number] for number in plain]
    count = len(plain) + 2 * len(buffers)
    outputs: list[Value] = list(g.nodes_out("Loop", count, "", first, *inputs_kept, body=g.body("turn", types, build)))
    results: list[Value] = list(start)
    for number, value in zip(plain, outputs, strict=False):
        results[number] = value
    for at, number in enumerate(sorted(buffers)):
        places, rows = outputs[len(plain) + 2 * at : len(plain) + 2 * at + 2]
        results[number] = g.node("ScatterND", start[number], places, rows)
    return results


@converts("cond")
def cond(g: Graph, eqn: Equation, which: Value, *inputs: Value) -> list[Value]:
    """``If``, one inside the other where there are more than two branches."""
    branches, types = eqn.params["branches"], _types(eqn.outvars)

    def branch(index: int) -> Any:
        return g.body("branch", [], lambda _: list(zip(g.convert(branches[index], list(inputs)), types, strict=True)))

    def choose(index: int) -> Any:
        """Returns a sub-graph for the branches from ``index`` on."""
        if index == len(branches) - 1:
            return branch(index)
        return g.body("branches", [], lambda _: list(zip(decide(index), types, strict=True)))

    def decide(index: int) -> list[str]:
        number = g.cast(which, np.int32)
        here = g.node("LessOrEqual", number, np.array(index, np.int32))
        return g.nodes_out("If", len(types), here, then_branch=branch(index), else_branch=choose(index + 1))

    if len(branches) == 1:
        return g.convert(branches[0], list(inputs))
    return list(decide(0))
