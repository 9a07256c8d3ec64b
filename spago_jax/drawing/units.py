# SPDX-License-Identifier: BSD-2-Clause
"""Which operations are drawn in one box: modules at a level, cut so that no arrows run in circles."""

import dataclasses
from collections.abc import Iterator, Sequence

# A step of the path to a part: "module", "loop" or "block"; its name; whether it is the backward half.
Key = tuple[str, str, bool]


@dataclasses.dataclass(frozen=True)
class Part:
    """Something to be drawn, the boxes around it, and the parts that it reads, which come before it."""

    key: str
    path: tuple[Key, ...]
    sources: tuple[str, ...] = ()


@dataclasses.dataclass
class Unit:
    """A part, or a box of units.

    Attributes:
        key: unique.
        path: of a box, from the outermost.
        instance: how many boxes of the same path, beside this one, were made before it.
        folded: whether the units are not drawn.
    """

    key: str
    path: tuple[Key, ...]
    instance: int = 0
    part: Part | None = None
    units: list["Unit"] = dataclasses.field(default_factory=list)
    folded: bool = False

    def parts(self) -> Iterator[Part]:
        """The parts in it, however deep."""
        if self.part is not None:
            yield self.part
        for unit in self.units:
            yield from unit.parts()


def split(parts: Sequence[Part], level: int | None) -> tuple[list[Unit], dict[str, str]]:
    """Boxes by path, closed below ``level``; and the key of the innermost visible box of each part.

    A module that is used, left and entered again, because something outside stands between, becomes two boxes:
    so the arrows between the boxes of one box never run in circles, and can be drawn from top to bottom.

    Args:
        parts: in an order in which each comes after what it reads.
        level: how many boxes may be around a visible one; None for any number.

    >>> a = Part("a", (("module", "net", False),))
    >>> b = Part("b", (), ("a",))
    >>> c = Part("c", (("module", "net", False),), ("b",))
    >>> [(unit.key, unit.folded) for unit in split([a, b, c], 0)[0]]
    [('m0', True), ('b', False), ('m1', True)]
    """
    splitter = _Splitter(level)
    units = splitter.units(list(parts), 0)
    return units, splitter.home


class _Splitter:
    def __init__(self, level: int | None):
        self.level = level
        self.home: dict[str, str] = {}
        self.count = 0

    def units(self, parts: list[Part], depth: int) -> list[Unit]:
        boxes = _acyclic(parts, depth)
        units = []
        instances: dict[Key, int] = {}
        for step, members in boxes:
            if step is None:
                self.home[members[0].key] = members[0].key
                units.append(Unit(members[0].key, members[0].path, part=members[0]))
                continue
            unit = Unit(f"m{self.count}", (*members[0].path[:depth], step), instances.get(step, 0))
            self.count += 1
            instances[step] = unit.instance + 1
            unit.folded = self.level is not None and depth >= self.level
            unit.units = self.units(members, depth + 1)
            if unit.folded:
                self.home.update((part.key, unit.key) for part in members)
            units.append(unit)
        return units


def _acyclic(parts: list[Part], depth: int) -> list[tuple[Key | None, list[Part]]]:
    """The parts by their step at a depth (None and alone where their path ends), without circles between groups."""
    groups: list[tuple[Key | None, list[Part]]] = []
    below: list[set[int]] = []  # the groups that read a group
    at: dict[str, int] = {}
    last: dict[Key, list[int]] = {}
    for part in parts:
        step = part.path[depth] if len(part.path) > depth else None
        read = {at[source] for source in part.sources if source in at}
        index = None
        if step is not None:
            # The newest box first: it is the one that holds what is near.
            for candidate in reversed(last.get(step, [])):
                if not _reaches(below, candidate, read - {candidate}):
                    index = candidate
                    break
        if index is None:
            index = len(groups)
            groups.append((step, []))
            below.append(set())
            if step is not None:
                last.setdefault(step, []).append(index)
        groups[index][1].append(part)
        at[part.key] = index
        for source in read - {index}:
            below[source].add(index)
    return groups


def _reaches(below: list[set[int]], start: int, targets: set[int]) -> bool:
    """Whether any of the targets reads, at however many removes, what ``start`` makes."""
    if not targets:
        return False
    seen, open_ = {start}, [start]
    while open_:
        for group in below[open_.pop()]:
            if group in targets:
                return True
            if group not in seen:
                seen.add(group)
                open_.append(group)
    return False
