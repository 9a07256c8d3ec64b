# SPDX-License-Identifier: BSD-2-Clause
"""A picture as nested boxes and arrows: what SVG, DOT and Mermaid are drawn from."""

import dataclasses
from collections.abc import Iterator


@dataclasses.dataclass
class Box:
    """A box of a picture: an operation, a folded module, or an open one with boxes inside.

    Attributes:
        key: its name in the drawing.
        kind: which colour it has, a key of ``colours.KINDS``.
        title: the first line of its label.
        lines: the other lines.
        attached: the parameters and constants that it reads.
        tooltip: everything that is known about it.
        children: the boxes inside; none for an operation or a folded module.
        heat: its share of the longest time, 0 to 1, where times were measured: green to red in place of its colour.
    """

    key: str
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    attached: tuple[str, ...] = ()
    tooltip: str = ""
    children: tuple["Box", ...] = ()
    heat: float | None = None

    def leaves(self) -> Iterator["Box"]:
        """The boxes that hold no others."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclasses.dataclass(frozen=True)
class Arrow:
    """From a leaf box to a leaf box; ``types`` are the values that go over."""

    source: str
    target: str
    types: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """The boxes and arrows of one drawing; ``root`` is around all."""

    root: Box
    arrows: tuple[Arrow, ...]

    @property
    def size(self) -> int:
        """The number of boxes that hold no others."""
        return sum(1 for _ in self.root.leaves())
