# SPDX-License-Identifier: BSD-2-Clause
"""What each of JAX's operations does to the padding of its operands."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spago_jax.compiler.jaxprs import JaxprEqn, shape_of
from spago_jax.compiler.padded.states import END, FRONT, INSIDE, UNIFORM, Along, Axis, State, changed, combined
from spago_jax.compiler.primitives import COMPARISONS, CUMULATIVE, ELEMENTWISE, TRANSCENDENTAL, UNCOUNTED, words

PER_NUMBER = ELEMENTWISE | TRANSCENDENTAL | UNCOUNTED
# f(0) = 0, so that zeros in the padding stay zeros; of a product one zero is enough.
_KEEP_ZERO = words(
    "add sub add_any max min or neg abs sign floor ceil round square sqrt cbrt sin tan tanh sinh asin atan asinh atanh "
    "expm1 log1p erf copy copy_p device_put name optimization_barrier stop_gradient reduce_precision real imag conj "
    "convert_element_type"
)
_PRODUCTS = words("mul and")


@dataclasses.dataclass(frozen=True)
class Case:
    """One equation at both sizes, with the states of its inputs, and of its outputs where nothing is known."""

    eqn: JaxprEqn
    other: JaxprEqn
    given: list[State]
    plain: list[State]
    place: str

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters at the base size."""
        return self.eqn.params

    def moved(self, what: str) -> str:
        """Says what the equation does to the padding, and where it was written."""
        return f"{what}: {self.eqn.primitive.name} at {self.place}"

    def output(self, axes: Sequence[Axis], **more: Any) -> list[State]:
        """Returns the state of each output, with these axes."""
        return [dataclasses.replace(state, axes=tuple(axes), **more) for state in self.plain]


def per_number(case: Case) -> list[State]:
    """Follows the padding through an operation on each number by itself."""
    shape = shape_of(case.eqn.outvars[0].aval)
    full = [s for s, atom in zip(case.given, case.eqn.invars, strict=True) if shape_of(atom.aval) == shape]
    name = case.eqn.primitive.name
    scalars_zero = all(_is_zero(s) for s in case.given if not s.axes)
    axes = []
    for place in range(len(shape)):
        axis = combined([state.axes[place] for state in full]) or case.plain[0].axes[place]
        if name in _PRODUCTS:
            zero = any(_zero(state.axes[place]) for state in full)
        elif name in COMPARISONS or name == "select_n":
            zero = True  # a mask, most likely: it is taken to leave the padding out
        elif name == "integer_pow":
            zero = _zero(axis) and case.params["y"] > 0
        else:
            zero = name in _KEEP_ZERO and scalars_zero and _zero(axis)
        axis = changed(axis, zero=zero)
        if name == "select_n":
            axis = changed(axis, positional=False)
            if shape_of(case.eqn.invars[0].aval):  # what was appended is put where it belongs by a mask
                axis = tuple((size, along and _settled(along)) for size, along in axis)
        axes.append(axis)
    number = None
    if name in ("convert_element_type", "copy", "copy_p"):
        number = case.given[0].number
    return case.output(axes, number=number, masked=any(state.masked for state in case.given))


def _settled(along: Along) -> Along:
    return dataclasses.replace(along, side=END, cause="", behind=None) if along.behind is not None else along


def _zero(axis: Axis) -> bool:
    return all(along is None or along.zero for _, along in axis)


def _is_zero(state: State) -> bool:
    return state.number is not None and not np.any(state.number[0]) and not np.any(state.number[1])


def _reverse(case: Case) -> list[State]:
    (state,) = case.given
    other = {END: FRONT, FRONT: END}
    axes = list(state.axes)
    for place in case.params["dimensions"]:
        if len(axes[place]) > 1:
            axes[place] = case.plain[0].axes[place]
        elif (along := axes[place][0][1]) is not None and along.side in other:
            side = other[along.side]
            cause = along.cause or case.moved("a reversal puts it first")
            axes[place] = changed(axes[place], side=side, cause=cause if side == FRONT else "")
    return case.output(axes, masked=state.masked)


def _slice(case: Case) -> list[State]:
    starts, ends = case.params["start_indices"], case.params["limit_indices"]
    starts_2 = case.other.params["start_indices"]
    strides = case.params["strides"] or (1,) * len(starts)
    (state,) = case.given
    axes, reads = [], state.reads
    for place, axis in enumerate(state.axes):
        (_, now), *folded = case.plain[0].axes[place]
        whole = starts[place] == 0 == starts_2[place] and ends[place] == math.prod(size for size, _ in axis)
        if folded or len(axis) > 1 or strides[place] != 1:
            axes.append(axis if whole and strides[place] == 1 else case.plain[0].axes[place])
            continue
        size, along = next(iter(axis))
        if along is not None and now is None:  # places of a fixed number: from the start, or from the end
            from_end = starts[place] != starts_2[place]
            if along.positional and ((along.side == END and from_end) or (along.side == FRONT and not from_end)):
                reads = reads or case.moved("a slice from the end reads it" if from_end else along.cause)
        elif along is not None and now is not None and along.side == INSIDE and along.behind is not None:
            behind = along.behind - (size - ends[place])
            now = dataclasses.replace(along, behind=behind) if behind > 0 else dataclasses.replace(now, zero=along.zero)
        elif along is not None and now is not None and starts[place] == starts_2[place]:
            now = along
        axes.append(((ends[place] - starts[place], now),))
    return case.output(axes, reads=reads, masked=state.masked)


def _concatenate(case: Case) -> list[State]:
    dim = case.params["dimension"]
    axes = [
        combined([state.axes[place] for state in case.given]) or case.plain[0].axes[place]
        for place in range(len(case.plain[0].axes))
    ]
    axes[dim] = _appended(case, [(s.axes[dim], _is_zero(s)) for s in case.given], case.plain[0].axes[dim])
    return case.output(axes, masked=all(state.masked for state in case.given))


def _appended(case: Case, pieces: list[tuple[Axis, bool]], plain: Axis) -> Axis:
    """Pieces behind one another, each with whether it holds nothing but zeros."""
    total = math.prod(size for size, _ in plain)
    growing = [place for place, (axis, _) in enumerate(pieces) if any(along is not None for _, along in axis)]
    if not growing or len(pieces[growing[0]][0]) > 1 or len(plain) > 1:
        return plain
    at = growing[0]
    along = pieces[at][0][0][1]
    assert along is not None
    sizes = [math.prod(size for size, _ in axis) for axis, _ in pieces]
    behind = sum(sizes[at + 1 :])
    zeros = along.zero and all(zero for _, zero in pieces[at + 1 :])
    cause = case.moved("more is put behind it")
    if along.side == UNIFORM and sum(sizes) != sizes[at]:
        along = dataclasses.replace(along, side=END)
    if len(growing) > 1:
        along = dataclasses.replace(along, side=INSIDE, cause=cause, behind=None)
    elif along.side == END and behind and not zeros:
        along = dataclasses.replace(along, side=INSIDE, cause=cause, behind=behind)
    elif along.side == FRONT and sum(sizes[:at]):
        along = dataclasses.replace(along, side=INSIDE, behind=None)
    elif along.side == INSIDE and along.behind is not None:
        along = dataclasses.replace(along, behind=along.behind + behind)
    return ((total, along),)


def _pad(case: Case) -> list[State]:
    config, other = case.params["padding_config"], case.other.params["padding_config"]
    state, fill = case.given
    axes = []
    for place, (edge, edge_2) in enumerate(zip(config, other, strict=True)):
        plain = case.plain[0].axes[place]
        low, high, interior = edge
        if tuple(edge) == (0, 0, 0) == tuple(edge_2):
            axes.append(state.axes[place])
        elif tuple(edge) != tuple(edge_2) or interior or low < 0 or high < 0:
            axes.append(plain)
        else:
            pieces = [(((low, None),), _is_zero(fill)), (state.axes[place], False), (((high, None),), _is_zero(fill))]
            axes.append(_appended(case, [pieces[0], pieces[1], *([pieces[2]] if high else [])], plain))
    return case.output(axes, masked=state.masked)


def _transpose(case: Case) -> list[State]:
    (state,) = case.given
    axes = [state.axes[place] for place in case.params["permutation"]]
    return case.output(axes, masked=state.masked, number=state.number)


def _squeeze(case: Case) -> list[State]:
    (state,) = case.given
    axes = [axis for place, axis in enumerate(state.axes) if place not in case.params["dimensions"]]
    return case.output(axes, masked=state.masked, number=state.number)


def _broadcast(case: Case) -> list[State]:
    state = case.given[0]
    placed = case.params["broadcast_dimensions"]
    axes = []
    for place, plain in enumerate(case.plain[0].axes):
        source = state.axes[placed.index(place)] if place in placed else None
        if source is not None and math.prod(size for size, _ in source) == plain[0][0]:
            axes.append(source)
        else:
            axes.append(changed(plain, side=UNIFORM, zero=_is_zero(state)))
    return case.output(axes, masked=state.masked, number=state.number)


def _reshape(case: Case) -> list[State]:
    """Folds axes into one, and takes folded ones apart where the sizes fit."""
    state, plain = case.given[0], case.plain[0]
    if case.params["dimensions"] is not None:
        return case.plain
    parts = [(size, along) for axis in state.axes for size, along in axis if size != 1]
    axes: list[Axis] = []
    for axis in plain.axes:
        size, taken = axis[0][0], []
        while size != 1 and parts and size % parts[0][0] == 0 and (not taken or math.prod(t[0] for t in taken) < size):
            taken.append(parts.pop(0))
        if math.prod(t[0] for t in taken) != size:
            return case.plain
        axes.append(tuple(taken) or ((1, None),))
    if parts:
        return case.plain
    return case.output(axes, masked=state.masked, number=state.number)


def _reduce(case: Case) -> list[State]:
    gone = case.params["axes"]
    axes = [axis for place, axis in enumerate(case.given[0].axes) if place not in gone]
    return case.output(axes, masked=case.given[0].masked)


def _cumulative(case: Case) -> list[State]:
    axes = list(case.given[0].axes)
    place = case.params["axis"]
    axes[place] = changed(axes[place], zero=False, positional=False)
    return case.output(axes, masked=case.given[0].masked)


def _sort(case: Case) -> list[State]:
    place = case.params["dimension"] if "dimension" in case.params else case.params["axis"]
    key = case.given[0].axes[place]
    along = key[0][1] if len(key) == 1 else None
    unmasked = not any(state.masked for state in case.given)
    made = []
    for state, plain in zip(case.given * len(case.plain), case.plain, strict=False):
        axes = list(state.axes)
        axes[place] = plain.axes[place]
        if unmasked and along is not None and along.side != UNIFORM:
            axes[place] = changed(plain.axes[place], side=INSIDE, cause=case.moved("a sort mixes it with the rest"))
        made.append(State(tuple(axes), masked=state.masked))
    return made


def _dot_general(case: Case) -> list[State]:
    (x_inner, y_inner), (x_batch, y_batch) = case.params["dimension_numbers"]
    x, y = case.given[:2]
    x_rest = [axis for place, axis in enumerate(x.axes) if place not in (*x_inner, *x_batch)]
    y_rest = [axis for place, axis in enumerate(y.axes) if place not in (*y_inner, *y_batch)]
    shared = [combined([x.axes[a], y.axes[b]]) or x.axes[a] for a, b in zip(x_batch, y_batch, strict=True)]
    return case.output([*shared, *x_rest, *y_rest])


def _convolution(case: Case) -> list[State]:
    numbers, state, plain = case.params["dimension_numbers"], case.given[0], case.plain[0]
    axes = list(plain.axes)
    axes[numbers.out_spec[0]] = state.axes[numbers.lhs_spec[0]]
    for a, b in zip(numbers.lhs_spec[2:], numbers.out_spec[2:], strict=True):
        if len(state.axes[a]) == 1 and state.axes[a][0][1] is not None and plain.axes[b][0][1] is not None:
            axes[b] = ((plain.axes[b][0][0], changed(state.axes[a], positional=False)[0][1]),)
    return case.output(axes)


def _gather(case: Case) -> list[State]:
    """Places in the output are those of the indices, and of the axes that are read whole."""
    numbers, sizes = case.params["dimension_numbers"], case.params["slice_sizes"]
    operand, indices = case.given[:2]
    gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    windows = [place for place in range(len(operand.axes)) if place not in gone]
    axes = list(case.plain[0].axes)
    for out, place in zip(numbers.offset_dims, windows, strict=True):
        if sizes[place] == math.prod(size for size, _ in operand.axes[place]):
            axes[out] = operand.axes[place]
    others = [out for out in range(len(axes)) if out not in numbers.offset_dims]
    for out, axis in zip(others, indices.axes, strict=False):
        axes[out] = changed(axis, zero=False, positional=False)
    return case.output(axes, masked=operand.masked or indices.masked)


def _scatter(case: Case) -> list[State]:
    numbers, indices = case.params["dimension_numbers"], case.given[1]
    written = numbers.scatter_dims_to_operand_dims
    at_end = len(written) == 1 and indices.number is not None and not np.array_equal(*indices.number)
    return _written(case, {written[0]} if at_end else set())


def _update(case: Case) -> list[State]:
    starts = case.given[2:]
    at = {p for p, s in enumerate(starts) if s.number is not None and not np.array_equal(*s.number)}
    return _written(case, at)


def _written(case: Case, at_end: set[int]) -> list[State]:
    axes = []
    for place, axis in enumerate(case.given[0].axes):
        along = axis[0][1]
        if place in at_end and len(axis) == 1 and along is not None and along.side in (END, UNIFORM):
            axis = changed(axis, side=INSIDE, cause=case.moved("the last place is written behind it"))
        axes.append(changed(axis, zero=False, positional=False))
    return case.output(axes, masked=case.given[0].masked)


def _dynamic_slice(case: Case) -> list[State]:
    """Takes a computed place to follow the lengths; a known one from the end reads the padding."""
    state, plain = case.given[0], case.plain[0]
    axes, reads = [], state.reads
    for place, (axis, now) in enumerate(zip(state.axes, plain.axes, strict=True)):
        start = case.given[1 + place].number
        along = axis[0][1] if len(axis) == 1 else None
        whole = math.prod(size for size, _ in axis) == now[0][0]
        axes.append(axis if whole else now)
        moves = start is not None and not np.array_equal(*start)
        if along is not None and now[0][1] is None and moves and along.positional and along.side == END:
            reads = reads or case.moved("a slice from the end reads it")
    return case.output(axes, reads=reads, masked=state.masked)


def _stack(case: Case) -> list[State]:
    place = case.params["axis"]
    axes = [combined(axes) or axes[0] for axes in zip(*(state.axes for state in case.given), strict=True)]
    return case.output([*axes[:place], case.plain[0].axes[place], *axes[place:]])


def _tile(case: Case) -> list[State]:
    axes = []
    for axis, times, plain in zip(case.given[0].axes, case.params["reps"], case.plain[0].axes, strict=True):
        moved = changed(plain, side=INSIDE, cause=case.moved("a repetition is put behind it"))
        axes.append(axis if times == 1 else moved)
    return case.output(axes)


RULES: dict[str, Callable[[Case], list[State]]] = {
    "rev": _reverse,
    "slice": _slice,
    "concatenate": _concatenate,
    "pad": _pad,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "sort": _sort,
    "top_k": _sort,
    "dot_general": _dot_general,
    "conv_general_dilated": _convolution,
    "gather": _gather,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _update,
    "stack": _stack,
    "tile": _tile,
    **dict.fromkeys(CUMULATIVE, _cumulative),
    **dict.fromkeys(words("reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin"), _reduce),
    **dict.fromkeys(words("scatter scatter-add scatter-mul scatter-min scatter-max"), _scatter),
}
