# SPDX-License-Identifier: BSD-2-Clause
"""Sums, extremes, orders along axes, and pooling."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spago_jax.interop.onnx.graph import Graph, Value
from spago_jax.interop.onnx.table import Equation, Unsupported, converts

_KINDS = {"reduce_sum": "Sum", "reduce_max": "Max", "reduce_min": "Min", "reduce_prod": "Prod"}


@converts(*_KINDS)
def reduce(g: Graph, eqn: Equation, x: Value) -> Value:
    """Over some axes, which go; an extreme of numbers with NaN among them is NaN, which runtimes skip."""
    axes, name, dtype = eqn.params["axes"], eqn.primitive.name, np.dtype(eqn.invars[0].aval.dtype)
    if not axes:
        return x
    if dtype.kind == "b":
        return _any_or_all(g, x, axes, every=name in ("reduce_min", "reduce_prod"))
    found = g.node(f"Reduce{_KINDS[name]}", x, g.ints(*axes), keepdims=0)
    if name in ("reduce_max", "reduce_min") and dtype.kind == "f" and id(eqn) not in g.maxima_of_softmax:
        lost = _any_or_all(g, g.node("IsNaN", x), axes, every=False)
        found = g.node("Where", lost, np.asarray(np.nan, dtype), found)
    return found


def _any_or_all(g: Graph, x: Value, axes: Sequence[int], *, every: bool) -> Value:
    kind = "ReduceMin" if every else "ReduceMax"
    return g.cast(g.node(kind, g.cast(x, np.int32), g.ints(*axes), keepdims=0), bool)


@converts("reduce_and", "reduce_or")
def reduce_logic(g: Graph, eqn: Equation, x: Value) -> Value:
    """All, or any."""
    if eqn.invars[0].aval.dtype != bool:
        raise Unsupported("bit by bit")
    return _any_or_all(g, x, eqn.params["axes"], every=eqn.primitive.name == "reduce_and")


@converts("argmax", "argmin")
def arg_extreme(g: Graph, eqn: Equation, x: Value) -> Value:
    """The place of the first extreme, or of the first NaN."""
    (axis,) = eqn.params["axes"]
    kind = "ArgMax" if eqn.primitive.name == "argmax" else "ArgMin"
    if eqn.invars[0].aval.dtype == bool:
        x = g.cast(x, np.int32)
    place = g.node(kind, x, axis=axis, keepdims=0)
    if np.dtype(eqn.invars[0].aval.dtype).kind == "f":
        missing = g.node("IsNaN", x)
        first = g.node("ArgMax", g.cast(missing, np.int32), axis=axis, keepdims=0)
        place = g.node("Where", _any_or_all(g, missing, (axis,), every=False), first, place)
    return g.cast(place, eqn.params["index_dtype"])


@converts("cumsum")
def running_sum(g: Graph, eqn: Equation, x: Value) -> Value:
    """Sums so far."""
    return g.node("CumSum", x, np.array(eqn.params["axis"], np.int64), reverse=int(eqn.params["reverse"]))


@converts("sort")
def sort(g: Graph, eqn: Equation, *inputs: Value) -> list[Value]:
    """By the first of the arrays; equal numbers keep their order."""
    if eqn.params["num_keys"] != 1:
        raise Unsupported("by several keys")
    axis = eqn.params["dimension"]
    count = g.dim(eqn.invars[0].aval.shape[axis])
    values, places = g.nodes_out("TopK", 2, inputs[0], count, axis=axis, largest=0, sorted=1)
    return [values, *(g.node("GatherElements", other, places, axis=axis) for other in inputs[1:])]


@converts("top_k")
def top_k(g: Graph, eqn: Equation, x: Value) -> list[Value]:
    """The largest, and their places."""
    axis = eqn.params.get("axis", -1)
    values, places = g.nodes_out("TopK", 2, x, g.dim(eqn.params["k"]), axis=axis, largest=1, sorted=1)
    return [values, g.cast(places, eqn.outvars[1].aval.dtype)]


@converts("reduce_window_max", "reduce_window_sum")
def pool(g: Graph, eqn: Equation, x: Value) -> Value:
    """Pooling over windows of one or more axes."""
    params = eqn.params
    window, strides, padding = params["window_dimensions"], params["window_strides"], params["padding"]
    if any(d != 1 for d in params["base_dilation"]):
        raise Unsupported("with base dilation")
    rank = len(window)
    spatial = [a for a in range(rank) if window[a] != 1 or strides[a] != 1 or tuple(padding[a]) != (0, 0)]
    rest = [a for a in range(rank) if a not in spatial]
    if not spatial or len(rest) < 1 or not all(isinstance(n, int) for a in spatial for n in (*padding[a], window[a])):
        raise Unsupported("over these windows")
    # ONNX pools [batch, channels, spatial...]; all other axes are folded into the batch.
    order = [*rest, *spatial]
    shape = [eqn.invars[0].aval.shape[a] for a in order]
    moved = g.node("Transpose", x, perm=order)
    flat = g.node("Reshape", moved, _folded(g, shape[len(rest) :]))
    attributes: dict[str, Any] = {
        "kernel_shape": [window[a] for a in spatial],
        "strides": [strides[a] for a in spatial],
        "pads": [*(padding[a][0] for a in spatial), *(padding[a][1] for a in spatial)],
    }
    dilations = [params["window_dilation"][a] for a in spatial]
    if eqn.primitive.name == "reduce_window_max":
        pooled = g.node("MaxPool", flat, dilations=dilations, **attributes)
        dtype = np.dtype(eqn.outvars[0].aval.dtype)
        if dtype.kind == "f":
            missing = g.cast(g.node("IsNaN", flat), np.float32)
            lost = g.node(
                "Greater", g.node("MaxPool", missing, dilations=dilations, **attributes), np.zeros((), np.float32)
            )
            pooled = g.node("Where", lost, np.asarray(np.nan, dtype), pooled)
    else:
        if any(d != 1 for d in dilations):
            raise Unsupported("with window dilation")
        size = int(np.prod(attributes["kernel_shape"]))
        mean = g.node("AveragePool", flat, count_include_pad=1, **attributes)
        pooled = g.node("Mul", mean, np.asarray(size, eqn.outvars[0].aval.dtype))
    out = [eqn.outvars[0].aval.shape[a] for a in order]
    back = g.node("Reshape", pooled, g.target(out))
    return g.node("Transpose", back, perm=[order.index(a) for a in range(rank)])


def _folded(g: Graph, spatial: list[Any]) -> Value:
    """Returns the shape [everything else, 1, spatial...]."""
    sizes = g.shape(spatial)
    head = g.ints(-1, 1)
    return np.concatenate([head, sizes]) if isinstance(sizes, np.ndarray) else g.node("Concat", head, sizes, axis=0)
