# SPDX-License-Identifier: BSD-2-Clause
"""Reading and writing at computed places."""

from collections.abc import Collection, Sequence

import numpy as np
from jax.lax import GatherDimensionNumbers, GatherScatterMode

from spago_jax.interop.onnx.buffers import Buffer, Written
from spago_jax.interop.onnx.elementwise import where
from spago_jax.interop.onnx.graph import Dim, Graph, Value
from spago_jax.interop.onnx.table import Equation, Unsupported, converts


@converts("dynamic_slice")
def dynamic_slice(g: Graph, eqn: Equation, x: Value, *starts: Value) -> Value:
    """A window at a computed place, moved inside where it would reach beyond."""
    shape, sizes = eqn.invars[0].aval.shape, eqn.params["slice_sizes"]
    return _window(g, x, shape, sizes, {axis: start for axis, start in enumerate(starts)})


@converts("dynamic_update_slice")
def dynamic_update_slice(g: Graph, eqn: Equation, x: Value | Buffer, update: Value, *starts: Value) -> Value | Written:
    """A window overwritten at a computed place."""
    shape, sizes = eqn.invars[0].aval.shape, eqn.invars[1].aval.shape
    if isinstance(x, Buffer):
        return Written(_inside(g, starts[0], shape[0], sizes[0]), update)
    axes = [axis for axis in range(len(shape)) if shape[axis] != sizes[axis]]
    places = {axis: _inside(g, starts[axis], shape[axis], sizes[axis]) for axis in axes}

    def put(x: Value, axes: list[int]) -> Value:
        if not axes:
            return update
        axis, *rest = axes
        start = places[axis]
        end = _plus(g, start, g.dim(sizes[axis]))
        at = g.ints(axis)
        inner = put(g.node("Slice", x, start, end, at), rest) if rest else update
        before = g.node("Slice", x, g.ints(0), start, at)
        after = g.node("Slice", x, end, g.ints(2**63 - 1), at)
        return g.node("Concat", before, inner, after, axis=axis)

    return put(x, axes)


@converts("gather")
def gather(g: Graph, eqn: Equation, x: Value, indices: Value) -> Value:
    """One window at a computed place, or one element (a row, ...) for each of many places."""
    numbers, sizes = eqn.params["dimension_numbers"], eqn.params["slice_sizes"]
    shape, places = eqn.invars[0].aval.shape, eqn.invars[1].aval.shape
    mode, indexed = eqn.params["mode"], list(numbers.start_index_map)
    fills = mode == GatherScatterMode.FILL_OR_DROP
    if len(places) == 1 and not fills and not numbers.operand_batching_dims:
        starts: dict[int, Value] = {
            axis: g.node("Gather", indices, g.ints(at), axis=0) for at, axis in enumerate(indexed)
        }
        found = _window(g, x, shape, sizes, starts, clamped=mode != GatherScatterMode.PROMISE_IN_BOUNDS)
        return (
            g.node("Squeeze", found, g.ints(*numbers.collapsed_slice_dims)) if numbers.collapsed_slice_dims else found
        )
    _check_rows(shape, sizes, indexed, numbers.operand_batching_dims)
    shared, shared_places = list(numbers.operand_batching_dims), list(numbers.start_indices_batching_dims)
    rest = [axis for axis in range(len(shape)) if axis not in (*shared, *indexed)]
    if len(indexed) == 1 and not shared and not fills:
        # The common case, rows of a table: Gather along the axis puts the places where the axis was.
        at = _clipped(g, g.node("Squeeze", indices, g.ints(len(places) - 1)), shape[indexed[0]], mode)
        found = g.node("Gather", x, at, axis=indexed[0])
        lead = list(range(indexed[0], indexed[0] + len(places) - 1))
        now = [*lead, *(a for a in range(len(places) - 1 + len(shape) - 1) if a not in lead)]
        found = found if now == sorted(now) else g.node("Transpose", found, perm=now)
    else:
        x = _transposed(g, x, [*shared, *indexed, *rest])
        index_axes = [*shared_places, *(a for a in range(len(places) - 1) if a not in shared_places)]
        indices = _transposed(g, indices, [*index_axes, len(places) - 1])
        bounds = [shape[axis] for axis in indexed]
        inside, at = _bounded(g, indices, bounds, mode)
        found = g.node("GatherND", x, at, batch_dims=len(shared))
        if fills:
            found = _filled(g, eqn, found, inside, len(rest))
        order = [index_axes.index(a) for a in range(len(index_axes))]
        found = _transposed(g, found, [*order, *range(len(order), len(order) + len(rest))])
    kept = [axis for axis in indexed if axis not in numbers.collapsed_slice_dims]
    return _placed(g, found, numbers, len(places) - 1, rest, kept, len(shape))


def _placed(
    g: Graph, x: Value, numbers: GatherDimensionNumbers, batch: int, rest: list[int], kept: list[int], rank: int
) -> Value:
    """From [batch..., rest...] to the output's order, with the indexed axes that stay as axes of size 1."""
    window = sorted([*rest, *kept])
    for axis in kept:
        x = g.node("Unsqueeze", x, g.ints(batch + window.index(axis)))
    total = batch + len(window)
    offset = list(numbers.offset_dims)
    others = [axis for axis in range(total) if axis not in offset]
    order = [0] * total
    for at, axis in enumerate(others):
        order[axis] = at
    for at, axis in enumerate(offset):
        order[axis] = batch + at
    return _transposed(g, x, order)


def _filled(g: Graph, eqn: Equation, found: Value, inside: Value, rest: int) -> Value:
    """What lies beyond reads as the fill value."""
    dtype = eqn.outvars[0].aval.dtype
    fill = eqn.params["fill_value"]
    if fill is None:
        kind = np.dtype(dtype).kind
        fill = (
            np.nan
            if kind == "f"
            else True
            if kind == "b"
            else getattr(np.iinfo(dtype), "min" if kind == "i" else "max")
        )
    inside = g.node("Unsqueeze", inside, g.ints(*range(-rest, 0))) if rest else inside
    return where(g, dtype, inside, found, np.asarray(fill, dtype))


@converts("scatter", "scatter-add", "scatter-mul", "scatter-min", "scatter-max")
def scatter(g: Graph, eqn: Equation, x: Value, indices: Value, updates: Value) -> Value:
    """Elements (rows, ...) written, or added, at many places."""
    numbers, shape = eqn.params["dimension_numbers"], eqn.invars[0].aval.shape
    if numbers.operand_batching_dims:
        raise Unsupported("with batch axes")
    if eqn.params["mode"] == GatherScatterMode.FILL_OR_DROP and not isinstance(indices, np.ndarray):
        raise Unsupported("at places that may lie outside; use mode='clip' or 'promise_in_bounds'")
    indexed, places = list(numbers.scatter_dims_to_operand_dims), eqn.invars[1].aval.shape
    if sorted(numbers.inserted_window_dims) != sorted(indexed):
        raise Unsupported("of windows that reach over an indexed axis")
    rest = [axis for axis in range(len(shape)) if axis not in indexed]
    if any(eqn.invars[2].aval.shape[w] != shape[a] for w, a in zip(numbers.update_window_dims, rest, strict=True)):
        raise Unsupported("of windows that are smaller than the axis")
    order = [*indexed, *rest]
    lead = [a for a in range(len(eqn.invars[2].aval.shape)) if a not in numbers.update_window_dims]
    updates = _transposed(g, updates, [*lead, *numbers.update_window_dims])
    _, at = _bounded(g, indices, [shape[axis] for axis in indexed], eqn.params["mode"])
    assert len(places) == len(lead) + 1
    kind = eqn.primitive.name.removeprefix("scatter").removeprefix("-") or "none"
    written = g.node("ScatterND", _transposed(g, x, order), at, updates, reduction=kind)
    return _transposed(g, written, [order.index(a) for a in range(len(order))])


# -- pieces ---------------------------------------------------------------------------------------------------------


def _window(
    g: Graph, x: Value, shape: Sequence[Dim], sizes: Sequence[Dim], starts: dict[int, Value], *, clamped: bool = True
) -> Value:
    axes = [axis for axis in starts if shape[axis] != sizes[axis]]
    if not axes:
        return x
    begin = [_inside(g, starts[a], shape[a], sizes[a]) if clamped else _as_one(g, starts[a]) for a in axes]
    end = [_plus(g, start, g.dim(sizes[a])) for start, a in zip(begin, axes, strict=True)]
    return g.node("Slice", x, _joined(g, begin), _joined(g, end), g.ints(*axes))


def _joined(g: Graph, parts: list[Value]) -> Value:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)  # type: ignore[arg-type]
    return parts[0] if len(parts) == 1 else g.node("Concat", *parts, axis=0)


def _as_one(g: Graph, start: Value) -> Value:
    """Returns a number as an int64 vector of one."""
    start = g.cast(start, np.int64)
    return start.reshape(1) if isinstance(start, np.ndarray) else g.node("Reshape", start, g.ints(1))


def _plus(g: Graph, x: Value, y: Value) -> Value:
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return x + y
    return g.node("Add", x, y)


def _inside(g: Graph, start: Value, dim: Dim, size: Dim) -> Value:
    """Returns a start that leaves room for the window, as JAX moves it."""
    start, last = _as_one(g, start), g.dim(dim - size)
    if isinstance(start, np.ndarray) and isinstance(last, np.ndarray):
        return np.clip(start, 0, last)
    if isinstance(start, np.ndarray) and not start.any():
        return start
    return g.node("Max", g.node("Min", start, last), g.ints(0))


def _check_rows(shape: Sequence[Dim], sizes: Sequence[Dim], indexed: list[int], shared: Collection[int]) -> None:
    for axis, size in enumerate(sizes):
        if (axis in indexed or axis in shared) and size != 1:
            raise Unsupported("of windows of more than one element at many places")
        if axis not in indexed and axis not in shared and size != shape[axis]:
            raise Unsupported("of windows that are smaller than the axis")


def _clipped(g: Graph, indices: Value, bound: Dim, mode: GatherScatterMode) -> Value:
    indices = g.cast(indices, np.int64)
    if mode == GatherScatterMode.PROMISE_IN_BOUNDS:
        return indices
    return g.node("Max", g.node("Min", indices, g.dim(bound - 1)), g.ints(0))


def _bounded(g: Graph, indices: Value, bounds: list[Dim], mode: GatherScatterMode) -> tuple[Value, Value]:
    """Returns whether all indices [..., k] of a place lie inside, and the indices moved inside."""
    indices = g.cast(indices, np.int64)
    if mode == GatherScatterMode.PROMISE_IN_BOUNDS:
        return np.ones((), bool), indices
    last = g.shape([bound - 1 for bound in bounds])
    at = g.node("Max", g.node("Min", indices, last), g.ints(0))
    same = g.cast(g.node("Equal", at, indices), np.int32)
    return g.cast(g.node("ReduceMin", same, g.ints(-1), keepdims=0), bool), at


def _transposed(g: Graph, x: Value, order: list[int]) -> Value:
    return x if order == sorted(order) else g.node("Transpose", x, perm=order)
