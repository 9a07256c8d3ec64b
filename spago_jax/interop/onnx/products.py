# SPDX-License-Identifier: BSD-2-Clause
"""Matrix products and convolutions."""

from collections.abc import Sequence

import numpy as np

from spago_jax.interop.onnx.graph import Dim, Graph, Value
from spago_jax.interop.onnx.table import Equation, Unsupported, converts


@converts("dot_general")
def dot_general(g: Graph, eqn: Equation, x: Value, y: Value, *_: Value) -> Value:
    """``MatMul`` over [batch..., rows, inner] and [batch..., inner, columns]."""
    (x_inner, y_inner), (x_batch, y_batch) = eqn.params["dimension_numbers"]
    x_shape, y_shape = eqn.invars[0].aval.shape, eqn.invars[1].aval.shape
    dtype = eqn.outvars[0].aval.dtype
    x, y = (v if a.aval.dtype == dtype else g.cast(v, dtype) for v, a in ((x, eqn.invars[0]), (y, eqn.invars[1])))
    x_rest = [a for a in range(len(x_shape)) if a not in (*x_inner, *x_batch)]
    y_rest = [a for a in range(len(y_shape)) if a not in (*y_inner, *y_batch)]
    x = _moved(g, x, [*x_batch, *x_rest, *x_inner])
    y = _moved(g, y, [*y_batch, *y_inner, *y_rest])
    batch = [x_shape[a] for a in x_batch]
    rows, columns = [x_shape[a] for a in x_rest], [y_shape[a] for a in y_rest]
    # A matrix times a matrix, or many times one, needs no new shape: ONNX broadcasts the leading axes.
    plain = len(x_inner) == 1 and len(columns) == 1 and (len(rows) == 1 if batch else len(rows) >= 1)
    if plain:
        return g.node("MatMul", x, y)
    inner = [x_shape[a] for a in x_inner]
    x = g.node("Reshape", x, _flat(g, batch, rows, inner))
    y = g.node("Reshape", y, _flat(g, batch, inner, columns))
    return g.node("Reshape", g.node("MatMul", x, y), g.target([*batch, *rows, *columns]))


def _moved(g: Graph, x: Value, order: list[int]) -> Value:
    return x if order == sorted(order) else g.node("Transpose", x, perm=order)


def _flat(g: Graph, batch: Sequence[Dim], rows: Sequence[Dim], columns: Sequence[Dim]) -> Value:
    """Returns the shape [batch..., product of rows, product of columns]."""

    def product(dims: Sequence[Dim]) -> Dim:
        total: Dim = 1
        for dim in dims:
            total = total * dim
        return total

    return g.target([*batch, product(rows), product(columns)])


@converts("conv_general_dilated")
def convolution(g: Graph, eqn: Equation, x: Value, kernel: Value) -> Value:
    """``Conv`` with the batch and the channels first, whatever their order in JAX."""
    params = eqn.params
    if any(d != 1 for d in params["lhs_dilation"]):
        raise Unsupported("transposed, with dilated inputs")
    if params["batch_group_count"] != 1:
        raise Unsupported("with batch groups")
    numbers, padding = params["dimension_numbers"], params["padding"]
    if not all(isinstance(n, int | np.integer) for edge in padding for n in edge):
        raise Unsupported("with padding that depends on a free dimension")
    kernel_shape = eqn.invars[1].aval.shape
    y = g.node(
        "Conv",
        _moved(g, x, list(numbers.lhs_spec)),
        _moved(g, kernel, list(numbers.rhs_spec)),
        kernel_shape=[int(kernel_shape[a]) for a in numbers.rhs_spec[2:]],
        strides=list(params["window_strides"]),
        pads=[int(n) for n in (*(edge[0] for edge in padding), *(edge[1] for edge in padding))],
        dilations=list(params["rhs_dilation"]),
        group=params["feature_group_count"],
    )
    out = list(numbers.out_spec)
    return _moved(g, y, [out.index(a) for a in range(len(out))])
