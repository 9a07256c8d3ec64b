# SPDX-License-Identifier: BSD-2-Clause
"""The steps of a layered layout: which rank, in which order, at which x."""

import bisect
import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Protocol

_SWEEPS = 16


@dataclasses.dataclass(eq=False)
class Lane:
    """A place in a rank: a box, or (without a key) the room that an arrow needs to pass.

    Attributes:
        key: of the box.
        width: of the box.
        height: of the box.
        x: of its middle.
        y: of its upper side.
    """

    key: str
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0


class Step(Protocol):
    """One step of an arrow between neighbouring ranks (see ``layout.Link``)."""

    upper: Lane
    lower: Lane
    leave: float
    enter: float

    @property
    def weight(self) -> float:
        """How much it wants to be straight."""
        ...


def assign_ranks(keys: Sequence[str], arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The rank of each box: below all that it reads, and no farther from its neighbours than it must.

    >>> assign_ranks("abcd", [("a", "b"), ("b", "c"), ("d", "c")])
    {'a': 0, 'b': 1, 'c': 2, 'd': 1}
    """
    below: dict[str, list[str]] = {key: [] for key in keys}
    above: dict[str, list[str]] = {key: [] for key in keys}
    for source, target in dict.fromkeys(arrows):
        below[source].append(target)
        above[target].append(source)
    order, waiting = [], {key: len(above[key]) for key in keys}
    ready = [key for key in keys if not waiting[key]]
    while ready:
        key = ready.pop()
        order.append(key)
        for target in below[key]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    if len(order) != len(keys):
        raise ValueError("the arrows between these boxes run in circles")
    ranks = dict.fromkeys(keys, 0)
    for key in order:
        ranks[key] = max((ranks[source] + 1 for source in above[key]), default=0)
    # What comes late and is read later still goes down to where it is read; twice, for chains of such.
    for _ in range(2):
        for key in reversed(order):
            if below[key] and len(below[key]) >= len(above[key]):
                ranks[key] = max(ranks[key], min(ranks[target] for target in below[key]) - 1)
    lowest = min(ranks.values(), default=0)
    return {key: rank - lowest for key, rank in ranks.items()}


def order_ranks(rows: list[list[Lane]], steps: Sequence[Step], *, keep_first: bool = False) -> list[list[Lane]]:
    """The rows with few crossings: each lane at the barycentre of its neighbours, up and down, the best kept.

    Args:
        rows: the lanes of each rank.
        steps: between neighbouring ranks.
        keep_first: whether the first row has its order already.
    """
    ups: dict[int, list[tuple[Lane, float]]] = {}
    downs: dict[int, list[tuple[Lane, float]]] = {}
    for step in steps:
        ups.setdefault(id(step.lower), []).append((step.upper, _share(step.leave, step.upper)))
        downs.setdefault(id(step.upper), []).append((step.lower, _share(step.enter, step.lower)))
    rows = [*([rows[0]] if keep_first else []), *_first_order(rows, downs)[keep_first:]]
    best, fewest = [list(row) for row in rows], _crossings(rows, downs)
    without = 0
    for sweep in range(_SWEEPS):
        if not fewest or without > 3:
            break
        down = sweep % 2 == 0
        neighbours = ups if down else downs
        for index in range(1, len(rows)) if down else range(len(rows) - 2, keep_first - 1, -1):
            fixed = rows[index - 1 if down else index + 1]
            at = {id(lane): place for place, lane in enumerate(fixed)}
            mean = {}
            for place, lane in enumerate(rows[index]):
                found = [at[id(other)] + share for other, share in neighbours.get(id(lane), ())]
                mean[id(lane)] = sum(found) / len(found) if found else _between(rows[index], place, fixed)
            rows[index].sort(key=lambda lane: mean[id(lane)])
        crossings = _crossings(rows, downs)
        if crossings < fewest:
            best, fewest, without = [list(row) for row in rows], crossings, 0
        else:
            without += 1
    return best


def _share(offset: float, lane: Lane) -> float:
    """Where on its lane a step ends, as a part of the distance to the next."""
    return 0.8 * offset / lane.width if lane.width else 0.0


def _between(row: Sequence[Lane], place: int, fixed: Sequence[Lane]) -> float:
    """Where a lane without neighbours stays: as far along as it is."""
    return place * max(len(fixed), 1) / max(len(row), 1)


def _first_order(rows: list[list[Lane]], downs: dict[int, list[tuple[Lane, float]]]) -> list[list[Lane]]:
    """The order in which a search from the top finds the lanes: what hangs together stands together."""
    found: dict[int, int] = {}
    for row in rows:
        for lane in row:
            open_ = [lane]
            while open_:
                here = open_.pop()
                if id(here) in found:
                    continue
                found[id(here)] = len(found)
                open_.extend(other for other, _ in reversed(downs.get(id(here), ())))
    return [sorted(row, key=lambda lane: found[id(lane)]) for row in rows]


def _crossings(rows: Sequence[Sequence[Lane]], downs: dict[int, list[tuple[Lane, float]]]) -> int:
    """How many pairs of steps cross (Barth, Jünger and Mutzel 2002)."""
    total = 0
    for upper, lower in itertools.pairwise(rows):
        at = {id(lane): place for place, lane in enumerate(lower)}
        seen: list[float] = []
        for lane in upper:
            ends = sorted(at[id(other)] + share for other, share in downs.get(id(lane), ()))
            for end in ends:
                total += len(seen) - bisect.bisect_right(seen, end)
            for end in ends:
                bisect.insort(seen, end)
    return total


def place_ranks(rows: Sequence[Sequence[Lane]], steps: Sequence[Step], gap: float, lane_gap: float) -> None:
    """Sets every lane's x: as near to straight as the order and the gaps allow, in the sense of least squares."""
    ups: dict[int, list[tuple[Lane, float, float]]] = {}
    downs: dict[int, list[tuple[Lane, float, float]]] = {}
    for step in steps:
        ups.setdefault(id(step.lower), []).append((step.upper, step.leave - step.enter, step.weight))
        downs.setdefault(id(step.upper), []).append((step.lower, step.enter - step.leave, step.weight))
    apart = [[_apart(left, right, gap, lane_gap) for left, right in itertools.pairwise(row)] for row in rows]
    for row, between in zip(rows, apart, strict=True):
        x = 0.0
        for index, lane in enumerate(row):
            x += between[index - 1] if index else 0.0
            lane.x = x
        middle = x / 2
        for lane in row:
            lane.x -= middle
    for sweep in range(_SWEEPS):
        both = sweep >= _SWEEPS - 4
        down = sweep % 2 == 0
        for index in range(len(rows)) if down else range(len(rows) - 1, -1, -1):
            row = rows[index]
            wanted, weights = [], []
            for lane in row:
                near = ups.get(id(lane), []) if down or both else []
                near = near + (downs.get(id(lane), []) if not down or both else [])
                weight = sum(w for _, _, w in near)
                wanted.append(sum((o.x + shift) * w for o, shift, w in near) / weight if near else 0.0)
                weights.append(weight or 1e-6)
            for lane, x in zip(row, _least_squares(wanted, weights, apart[index]), strict=True):
                lane.x = x
    _straighten(rows, steps, apart)


def _straighten(rows: Sequence[Sequence[Lane]], steps: Sequence[Step], apart: Sequence[Sequence[float]]) -> None:
    """Moves the lanes of each long arrow into as few straight lines as the lanes beside them leave room for."""
    beside: dict[int, tuple[Lane | None, float, Lane | None, float]] = {}
    for row, between in zip(rows, apart, strict=True):
        for index, lane in enumerate(row):
            left, near = (row[index - 1], between[index - 1]) if index else (None, 0.0)
            right, far = (row[index + 1], between[index]) if index + 1 < len(row) else (None, 0.0)
            beside[id(lane)] = (left, near, right, far)
    after = {id(step.upper): step for step in steps if not step.upper.key and not step.lower.key}
    into = {id(step.lower): step for step in steps if not step.lower.key}
    ends: dict[int, Step] = {}
    for step in steps:
        if not step.upper.key and step.lower.key:
            ends.setdefault(id(step.upper), step)

    def room(lane: Lane) -> tuple[float, float]:
        left, near, right, far = beside[id(lane)]
        return (left.x + near if left else -math.inf), (right.x - far if right else math.inf)

    def starts(lane: Lane) -> bool:
        return not lane.key and (id(lane) not in into or bool(into[id(lane)].upper.key))

    firsts = [lane for row in rows for lane in row if starts(lane)]
    for _ in range(2):
        for lane in firsts:
            chain = [lane]
            while id(chain[-1]) in after:
                chain.append(after[id(chain[-1])].lower)
            first, last = into.get(id(lane)), ends.get(id(chain[-1]))
            wanted = [first.upper.x + first.leave] if first else []
            wanted += [last.lower.x + last.enter] if last else []
            while chain:
                low, high = room(chain[0])
                length = 1
                for other in chain[1:]:
                    floor, ceiling = room(other)
                    if max(low, floor) > min(high, ceiling):
                        break
                    low, high, length = max(low, floor), min(high, ceiling), length + 1
                fits = [x for x in wanted if low <= x <= high]
                middle = sum(other.x for other in chain[:length]) / length
                at = fits[0] if fits else min(max(wanted[0] if wanted else middle, low), high)
                for other in chain[:length]:
                    other.x = at
                del chain[:length]


def _apart(left: Lane, right: Lane, gap: float, lane_gap: float) -> float:
    """The least distance of the middles of two neighbours."""
    boxes = bool(left.key) + bool(right.key)
    return (left.width + right.width) / 2 + (lane_gap, (gap + lane_gap) / 2, gap)[boxes]


def _least_squares(wanted: Sequence[float], weights: Sequence[float], apart: Sequence[float]) -> list[float]:
    """The x nearest to the wanted ones with at least the given distances: isotonic regression (pool neighbours).

    >>> _least_squares([0.0, 0.0], [1.0, 1.0], [10.0])
    [-5.0, 5.0]
    """
    offsets = [0.0]
    for distance in apart:
        offsets.append(offsets[-1] + distance)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, weight, offset in zip(wanted, weights, offsets, strict=False):
        mean, total, members = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            before, heavy, more = pools.pop()
            mean = (before * heavy + mean * total) / (heavy + total)
            total, members = heavy + total, members + more
        pools.append((mean, total, members))
    flat = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=False)]
