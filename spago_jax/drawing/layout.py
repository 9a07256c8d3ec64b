# SPDX-License-Identifier: BSD-2-Clause
"""A layered layout of nested boxes and arrows (Sugiyama, Tagawa and Toda 1981), box inside box.

Every box is laid out by itself, from the inside out: ranks by longest path, order in a rank by barycentres
(Sugiyama et al.), positions by least squares under the order. An arrow that leaves a box goes through its border,
where the box around goes on with it; inside a box it goes down from rank to rank, in lanes of its own. So no two boxes
overlap and no arrow runs through a box that it does not belong to.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from spago_jax.drawing.ranks import Lane, assign_ranks, order_ranks, place_ranks

GAP_X, GAP_LANE = 18.0, 9.0
PADDING, HEADER = 14.0, 24.0
_GAP_Y, _GAP_Y_MORE = 30.0, 46.0


@dataclasses.dataclass
class Item:
    """A box to be placed: a leaf of a given size, or a box of items.

    Attributes:
        key: unique.
        width: of a leaf; of a box at least this, for its title.
        height: of a leaf.
        children: what is inside.
    """

    key: str
    width: float
    height: float = 0.0
    children: tuple["Item", ...] = ()


@dataclasses.dataclass
class Rect:
    """Where a box is: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of the right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of the lower side."""
        return self.y + self.height


@dataclasses.dataclass
class Route:
    """The lines of one arrow's tail and all its heads.

    Attributes:
        source: the leaf that it comes from.
        pieces: lists of points ``(x, y)``; two at different x are joined by a curve that stays between their y.
        heads: where it ends, and in which leaf.
    """

    source: str
    pieces: list[list[tuple[float, float]]] = dataclasses.field(default_factory=list)
    heads: list[tuple[float, float, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Layout:
    """Every box by key, the routes of the arrows, and the size of the whole."""

    width: float
    height: float
    boxes: dict[str, Rect]
    routes: list[Route]


def layout(items: Sequence[Item], arrows: Iterable[tuple[str, str]]) -> Layout:
    """Places boxes and arrows.

    Args:
        items: the outermost boxes.
        arrows: pairs of leaf keys; they must not run in circles, nor between the boxes of any box.

    >>> found = layout([Item("a", 40, 20), Item("b", 40, 20)], [("a", "b")])
    >>> [(key, box.x, box.y) for key, box in found.boxes.items()]
    [('a', 0.0, 0.0), ('b', 0.0, 50.0)]
    >>> found.routes[0].heads
    [(20.0, 50.0, 'b')]
    """
    root = Item("", 0.0, children=tuple(items))
    parents: dict[str, list[str]] = {}

    def walk(item: Item, above: list[str]) -> None:
        parents[item.key] = [*above, item.key]
        for child in item.children:
            walk(child, parents[item.key])

    walk(root, [])
    wires: dict[str, dict[_Wire, None]] = {}
    for source, target in arrows:
        up, down = parents[source], parents[target]
        common = sum(1 for one, other in zip(up, down, strict=False) if one == other)
        wires.setdefault(up[common - 1], {})[source, up[common], down[common]] = None
        for box, child in zip(up[common:-1], up[common + 1 :], strict=True):
            wires.setdefault(box, {})[source, child, None] = None
        for box, child in zip(down[common:-1], down[common + 1 :], strict=True):
            wires.setdefault(box, {})[source, None, child] = None
    laid = _lay(root, wires, {})
    # Once more, with what goes into each box in the order in which it comes from outside.
    laid = _lay(root, wires, dict(_arrivals(laid)))
    routes: dict[str, Route] = {}
    _collect(laid, 0.0, 0.0, routes)
    boxes = dict(_rects(laid, 0.0, 0.0))
    del boxes[""]
    return Layout(laid.width, laid.height, boxes, list(routes.values()))


# The leaf whose value goes, the child that it comes from, the child that it goes to; None for the border of the box.
_Wire = tuple[str, "str | None", "str | None"]


@dataclasses.dataclass
class _Laid:
    """A box laid out by itself: sizes, and positions relative to its corner."""

    key: str
    width: float
    height: float
    children: list[tuple["_Laid", float, float]] = dataclasses.field(default_factory=list)
    enter: dict[str, float] = dataclasses.field(default_factory=dict)  # x on the upper border by the value's leaf
    leave: dict[str, float] = dataclasses.field(default_factory=dict)  # x on the lower border
    pieces: list[tuple[str, list[tuple[float, float]]]] = dataclasses.field(default_factory=list)
    heads: list[tuple[str, float, float, str]] = dataclasses.field(default_factory=list)
    # By child and value: the x from which it comes.
    arrivals: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)


def _arrivals(laid: _Laid) -> Iterable[tuple[str, dict[str, float]]]:
    yield from laid.arrivals.items()
    for child, _, _ in laid.children:
        yield from _arrivals(child)


def _rects(laid: _Laid, x: float, y: float) -> Iterable[tuple[str, Rect]]:
    yield laid.key, Rect(x, y, laid.width, laid.height)
    for child, dx, dy in laid.children:
        yield from _rects(child, x + dx, y + dy)


def _collect(laid: _Laid, x: float, y: float, routes: dict[str, Route]) -> None:
    for source, points in laid.pieces:
        route = routes.setdefault(source, Route(source))
        route.pieces.append([(x + px, y + py) for px, py in points])
    for source, px, py, target in laid.heads:
        routes.setdefault(source, Route(source)).heads.append((x + px, y + py, target))
    for child, dx, dy in laid.children:
        _collect(child, x + dx, y + dy, routes)


def _lay(item: Item, wires: Mapping[str, Mapping[_Wire, None]], arrivals: Mapping[str, Mapping[str, float]]) -> _Laid:
    if not item.children:
        return _Laid(item.key, item.width, item.height)
    children = {child.key: _lay(child, wires, arrivals) for child in item.children}
    own = list(wires.get(item.key, ()))
    ranks = assign_ranks(list(children), [(a, b) for _, a, b in own if a is not None and b is not None])
    rows, links = _lanes(children, own, ranks)
    known = arrivals.get(item.key)
    if known:
        at = {id(link.upper): known[link.value] for link in links if link.value in known}
        rows[0].sort(key=lambda lane: at[id(lane)])
    rows = order_ranks(rows, links, keep_first=bool(known))
    place_ranks(rows, links, GAP_X, GAP_LANE)
    return _Drawn(item, children, rows, links, outermost=not item.key).laid()


@dataclasses.dataclass
class Link:
    """One step of an arrow, from a lane to a lane one rank below, with where it leaves and enters them.

    Attributes:
        upper: the lane above.
        lower: the lane below.
        value: the leaf whose value goes over.
        leave: from the middle of the lane above.
        enter: from the middle of the lane below.
    """

    upper: Lane
    lower: Lane
    value: str
    leave: float = 0.0
    enter: float = 0.0

    @property
    def weight(self) -> float:
        """How much it wants to be straight: long arrows most (Gansner et al. 1993)."""
        return (1.0, 2.0, 8.0)[(not self.upper.key) + (not self.lower.key)]


def _lanes(
    children: Mapping[str, _Laid], wires: Sequence[_Wire], ranks: Mapping[str, int]
) -> tuple[list[list[Lane]], list[Link]]:
    """The lanes of every rank, borders first and last, and the steps between them.

    A value that goes far down is one chain of narrow lanes, from which its arrows branch off.
    """
    depth = max(ranks.values(), default=0) + 1
    rows: list[list[Lane]] = [[] for _ in range(depth + 2)]
    lanes = {}
    for key, child in children.items():
        lanes[key] = Lane(key, child.width, child.height)
        rows[ranks[key] + 1].append(lanes[key])
    links: list[Link] = []
    chains: dict[tuple[str, str | None], list[Lane]] = {}
    for value, source, target in sorted(wires, key=lambda wire: depth if wire[2] is None else ranks[wire[2]]):
        chain = chains.get((value, source))
        if chain is None:
            if source is None:
                first = Lane("", 0.0, 0.0)
                rows[0].append(first)
                chain = [first]
            else:
                chain = [lanes[source]]
            chains[value, source] = chain
        start = 0 if source is None else ranks[source] + 1
        end = depth + 1 if target is None else ranks[target] + 1
        while start + len(chain) < end:
            lane = Lane("", 0.0, 0.0)
            rows[start + len(chain)].append(lane)
            links.append(Link(chain[-1], lane, value))
            chain.append(lane)
        last = Lane("", 0.0, 0.0) if target is None else lanes[target]
        if target is None:
            rows[-1].append(last)
        links.append(Link(chain[end - start - 1], last, value))
    for link in links:
        if link.upper.key:
            link.leave = _offset(children[link.upper.key].leave, link.value, link.upper)
        if link.lower.key:
            link.enter = _offset(children[link.lower.key].enter, link.value, link.lower)
    return rows, links


def _offset(ports: Mapping[str, float], value: str, lane: Lane) -> float:
    return ports[value] - lane.width / 2 if value in ports else 0.0


class _Drawn:
    """Turns lanes with positions into rectangles and lines."""

    def __init__(
        self,
        item: Item,
        children: Mapping[str, _Laid],
        rows: list[list[Lane]],
        links: list[Link],
        outermost: bool,
    ):
        self.item, self.children, self.rows, self.links, self.outermost = item, children, rows, links, outermost

    def laid(self) -> _Laid:
        padding, header = (0.0, 0.0) if self.outermost else (PADDING, HEADER)
        every = [lane for row in self.rows for lane in row]
        left = min(lane.x - lane.width / 2 for lane in every)
        width = max(lane.x + lane.width / 2 for lane in every) - left
        total = max(width + 2 * padding, self.item.width)
        shift = (total - width) / 2 - left
        for lane in every:
            lane.x += shift
        self.spread()
        tops, bottoms = self.bands(header)
        laid = _Laid(self.item.key, total, bottoms[-1])
        for index, row in enumerate(self.rows):
            middle = (tops[index] + bottoms[index]) / 2
            for lane in row:
                lane.y = middle - lane.height / 2
                if lane.key:
                    laid.children.append((self.children[lane.key], lane.x - lane.width / 2, lane.y))
        self.lines(laid, tops, bottoms)
        return laid

    def spread(self) -> None:
        """Arrows into one leaf end side by side, in the order in which they come."""
        into: dict[int, list[Link]] = {}
        for link in self.links:
            if link.lower.key and not self.children[link.lower.key].children:
                into.setdefault(id(link.lower), []).append(link)
        for links in into.values():
            step = min(14.0, links[0].lower.width * 0.7 / max(len(links) - 1, 1))
            links.sort(key=lambda link: link.upper.x + link.leave)
            for index, link in enumerate(links):
                link.enter = (index - (len(links) - 1) / 2) * step

    def bands(self, header: float) -> tuple[list[float], list[float]]:
        """The upper and lower y of every rank; the borders' own have no height but the title's."""
        tops, bottoms = [], []
        y = 0.0
        rank_of = {id(lane): rank for rank, row in enumerate(self.rows) for lane in row}
        reach = [0.0] * len(self.rows)
        for link in self.links:
            rank = rank_of[id(link.upper)]
            reach[rank] = max(reach[rank], abs(link.upper.x + link.leave - link.lower.x - link.enter))
        last = len(self.rows) - 1
        for rank, row in enumerate(self.rows):
            height = header if rank == 0 else max((lane.height for lane in row), default=0.0)
            tops.append(y)
            bottoms.append(y + height)
            if rank == last:
                break
            border = (rank == 0 and not self.rows[0]) or (rank == last - 1 and not self.rows[last])
            if border:
                gap = 0.0 if self.outermost else PADDING
            else:
                gap = _GAP_Y + min(_GAP_Y_MORE, 0.07 * reach[rank])
            y = bottoms[-1] + gap
        return tops, bottoms

    def lines(self, laid: _Laid, tops: list[float], bottoms: list[float]) -> None:
        last = len(self.rows) - 1
        rank_of = {id(lane): rank for rank, row in enumerate(self.rows) for lane in row}
        through: set[int] = set()
        for link in self.links:
            upper, lower = link.upper, link.lower
            rank = rank_of[id(upper)]
            x0, x1 = upper.x + link.leave, lower.x + link.enter
            points = [(x0, bottoms[rank]), (x1, tops[rank + 1])]
            if upper.key and upper.y + upper.height < bottoms[rank]:
                points.insert(0, (x0, upper.y + upper.height))
            elif not upper.key and id(upper) not in through:
                through.add(id(upper))
                if rank == 0:
                    laid.enter[link.value] = x0
                points.insert(0, (x0, tops[rank]))
            if lower.key:
                if self.children[lower.key].children:
                    laid.arrivals.setdefault(lower.key, {})[link.value] = x0
                if lower.y > tops[rank + 1]:
                    points.append((x1, lower.y))
                if not self.children[lower.key].children:
                    laid.heads.append((link.value, x1, lower.y, lower.key))
            elif rank + 1 == last:
                laid.leave[link.value] = x1
                points.append((x1, bottoms[last]))
            laid.pieces.append((link.value, points))
