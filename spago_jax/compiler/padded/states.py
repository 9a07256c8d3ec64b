# SPDX-License-Identifier: BSD-2-Clause
"""What is known of the padding in one value: along each axis where it lies, and what has been done about it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from spago_jax.compiler.jaxprs import Atom

# Where the padding lies along an axis.
UNIFORM = "uniform"  # the axis repeats one number: there is no place
END = "end"
FRONT = "front"
INSIDE = "inside"


@dataclasses.dataclass(frozen=True)
class Along:
    """The padding along one axis that grows with the padded dimension.

    Attributes:
        side: where it lies.
        cause: the operation that moved it there, with its place in the source.
        zero: whether the padding may hold zeros only.
        positional: whether each position holds its own input alone, so that the last one holds padding.
        behind: how many positions were appended behind the padding, where that is known.
    """

    side: str = END
    cause: str = ""
    zero: bool = True
    positional: bool = False
    behind: int | None = None


# An axis is a product of parts: one, unless a reshape folded several. Each is a size with the padding along it, if any.
Axis = tuple[tuple[int, Along | None], ...]


@dataclasses.dataclass(frozen=True)
class State:
    """All that is known of one value.

    Attributes:
        axes: one per axis.
        reads: the operation that read padding as if it were the last position; empty where none did.
        masked: whether a mask has been put over it, which says that padding is taken care of.
        number: the number that it holds everywhere, at both sizes, where that is known.
    """

    axes: tuple[Axis, ...]
    reads: str = ""
    masked: bool = False
    number: tuple[Any, Any] | None = None


class ProgramsDiffer(Exception):
    """The two programs differ, so that nothing can be said."""


def unmoved(base: Atom, grown: Atom, along: Along | None = None) -> State:
    """Returns the state of a variable of both programs whose growing axes keep the padding at their end."""
    one, two = getattr(base.aval, "shape", ()), getattr(grown.aval, "shape", ())
    if len(one) != len(two):
        raise ProgramsDiffer
    known = Along() if along is None else along
    return State(tuple(((a, known if a != b else None),) for a, b in zip(one, two, strict=True)))


def changed(axis: Axis, **changes: Any) -> Axis:
    """Returns the axis with something else known of its padding, where it has any."""
    return tuple((size, along and dataclasses.replace(along, **changes)) for size, along in axis)


def combined(axes: Sequence[Axis]) -> Axis | None:
    """Joins what is known of one axis of several operands; None where they are folded in different ways."""
    axes = [axis for axis in axes if axis is not None]
    if not axes or any([size for size, _ in axis] != [size for size, _ in axes[0]] for axis in axes):
        return None
    return tuple((parts[0][0], joined([along for _, along in parts])) for parts in zip(*axes, strict=True))


def joined(several: Sequence[Along | None]) -> Along | None:
    """Returns what holds for numbers that are computed from several operands along one axis."""
    known = [along for along in several if along is not None]
    if not known:
        return None
    placed = [along for along in known if along.side != UNIFORM] or known
    sides = {along.side for along in placed}
    moved = next((along for along in placed if along.side in (INSIDE, FRONT)), None)
    side = sides.pop() if len(sides) == 1 else INSIDE
    return Along(
        side,
        moved.cause if moved else "",
        all(along.zero for along in known),
        all(along.positional for along in placed),
        moved.behind if moved and [a.side for a in placed if a.side != END] == [moved.side] else None,
    )


def merged(states: Sequence[State]) -> State:
    """What holds for a value that is one of several (of a branch, of a turn of a loop)."""
    axes = [combined(axes) or axes[0] for axes in zip(*(state.axes for state in states), strict=True)]
    reads = next((state.reads for state in states if state.reads), "")
    return State(tuple(axes), reads, all(state.masked for state in states))
