# SPDX-License-Identifier: BSD-2-Clause
"""Operations that move numbers and change none."""

import numpy as np

from spago_jax.interop.onnx.graph import Graph, Value
from spago_jax.interop.onnx.table import Equation, Unsupported, converts


@converts("dim_as_value")
def dimension(g: Graph, eqn: Equation) -> Value:
    """A free dimension as a number."""
    return g.cast(g.node("Squeeze", g.dim(eqn.params["dim"]), g.ints(0)), eqn.outvars[0].aval.dtype)


@converts("iota")
def iota(g: Graph, eqn: Equation, *_: Value) -> Value:
    """0, 1, 2, ... along one axis."""
    shape, axis, dtype = eqn.params["shape"], eqn.params["dimension"], eqn.params["dtype"]
    ones = [1] * len(shape)
    if isinstance(shape[axis], int):
        ones[axis] = shape[axis]
        line: Value = np.arange(shape[axis]).astype(dtype).reshape(ones)
    else:
        end = g.node("Squeeze", g.dim(shape[axis]), g.ints(0))
        line = g.cast(g.node("Range", np.int64(0) + np.zeros((), np.int64), end, np.ones((), np.int64)), dtype)
        others = [index for index in range(len(shape)) if index != axis]
        line = g.node("Unsqueeze", line, g.ints(*others)) if others else line
    return line if all(dim == 1 for i, dim in enumerate(shape) if i != axis) else g.node("Expand", line, g.shape(shape))


@converts("broadcast_in_dim")
def broadcast(g: Graph, eqn: Equation, x: Value, *_: Value) -> Value:
    """New axes, and axes of size 1 repeated."""
    shape, placed = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    old = eqn.invars[0].aval.shape
    new = [axis for axis in range(len(shape)) if axis not in placed]
    if isinstance(x, np.ndarray):
        x = np.expand_dims(x, tuple(new))
    elif new:
        x = g.node("Unsqueeze", x, g.ints(*new))
    grows = any(shape[axis] != 1 for axis in new) or any(shape[p] != d for p, d in zip(placed, old, strict=True))
    return g.node("Expand", x, g.shape(shape)) if grows else x


@converts("reshape")
def reshape(g: Graph, eqn: Equation, x: Value, *_: Value) -> Value:
    """The same numbers in another shape."""
    if eqn.params["dimensions"] is not None:
        x = g.node("Transpose", x, perm=list(eqn.params["dimensions"]))
    return g.node("Reshape", x, g.target(eqn.params["new_sizes"]))


@converts("transpose")
def transpose(g: Graph, eqn: Equation, x: Value) -> Value:
    """The axes in another order."""
    return g.node("Transpose", x, perm=list(eqn.params["permutation"]))


@converts("squeeze")
def squeeze(g: Graph, eqn: Equation, x: Value) -> Value:
    """Axes of size 1 taken away."""
    axes = eqn.params["dimensions"]
    return g.node("Squeeze", x, g.ints(*axes)) if axes else x


@converts("concatenate")
def concatenate(g: Graph, eqn: Equation, *inputs: Value) -> Value:
    """One behind the other."""
    return g.node("Concat", *inputs, axis=eqn.params["dimension"])


@converts("stack")
def stack(g: Graph, eqn: Equation, *inputs: Value) -> Value:
    """One beside the other, along a new axis."""
    axis = eqn.params["axis"]
    return g.node("Concat", *(g.node("Unsqueeze", x, g.ints(axis)) for x in inputs), axis=axis)


@converts("unstack")
def unstack(g: Graph, eqn: Equation, x: Value) -> list[Value]:
    """The pieces along an axis, without it."""
    axis = eqn.params["axis"]
    count = len(eqn.outvars)
    pieces = g.nodes_out("Split", count, x, g.ints(*[1] * count), axis=axis)
    return [g.node("Squeeze", piece, g.ints(axis)) for piece in pieces]


@converts("tile")
def tile(g: Graph, eqn: Equation, x: Value) -> Value:
    """Repeated along its axes."""
    return g.node("Tile", x, g.shape(eqn.params["reps"]))


@converts("split")
def split(g: Graph, eqn: Equation, x: Value) -> list[Value]:
    """Into pieces of given sizes."""
    sizes = eqn.params["sizes"]
    return list(g.nodes_out("Split", len(sizes), x, g.shape(sizes), axis=eqn.params["axis"]))


@converts("rev")
def reverse(g: Graph, eqn: Equation, x: Value) -> Value:
    """Axes from their end."""
    axes = eqn.params["dimensions"]
    if not axes:
        return x
    ends = [-(2**63) + 1] * len(axes)
    back = g.ints(*[-1] * len(axes))
    return g.node("Slice", x, back, g.ints(*ends), g.ints(*axes), back)


@converts("slice")
def slice_(g: Graph, eqn: Equation, x: Value) -> Value:
    """A window at a fixed place."""
    starts, limits = eqn.params["start_indices"], eqn.params["limit_indices"]
    strides = eqn.params["strides"] or [1] * len(starts)
    shape = eqn.invars[0].aval.shape
    cut = [a for a in range(len(shape)) if not (starts[a] == 0 and limits[a] == shape[a] and strides[a] == 1)]
    if not cut:
        return x
    return g.node(
        "Slice",
        x,
        g.shape([starts[a] for a in cut]),
        g.shape([limits[a] for a in cut]),
        g.ints(*cut),
        g.shape([strides[a] for a in cut]),
    )


@converts("pad")
def pad(g: Graph, eqn: Equation, x: Value, fill: Value) -> Value:
    """More on both sides of an axis, or less."""
    config = eqn.params["padding_config"]
    if any(interior != 0 for _, _, interior in config):
        raise Unsupported("between the elements")
    low, high = [edge[0] for edge in config], [edge[1] for edge in config]
    return g.node("Pad", x, g.shape([*low, *high]), fill)
