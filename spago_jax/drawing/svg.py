# SPDX-License-Identifier: BSD-2-Clause
"""A picture as SVG: no binary, no font file, readable on light and on dark ground."""

import html
import itertools
import math
import unicodedata

from spago_jax.drawing.colours import KINDS, TEXT, heat_colour
from spago_jax.drawing.layout import HEADER, Item, Layout, Rect, Route, layout
from spago_jax.drawing.picture import Box, Picture

_TITLE, _SMALL = 12.0, 10.5  # font sizes
_LINE, _INSET, _MARGIN = 15.0, 9.0, 16.0
_LONGEST = 40  # characters of a label
_DASHES = {"dashed": "5 3", "dotted": "1.5 3"}


def svg(drawn: Picture) -> str:
    """A picture as the text of an SVG file.

    >>> box = Box("n0", "input", "x", ("f32[3]",))
    >>> svg(Picture(Box("graph", "module", "double", ("3 FLOP",), children=(box,)), ()))[:38]
    '<svg xmlns="http://www.w3.org/2000/svg'
    """
    found = layout([_item(box) for box in drawn.root.children], [(a.source, a.target) for a in drawn.arrows])
    return _Page(drawn, found).text()


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a text is at most, in a fixed-width font; letters that are not Latin are taken as square.

    >>> round(text_width("add", 10.0), 2)
    18.6
    """
    wide = sum(0.62 if ord(letter) < 0x250 else 0.0 if unicodedata.combining(letter) else 1.05 for letter in text)
    return wide * size * (1.02 if bold else 1.0)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A text with its middle left out where it is too long.

    >>> shortened("model.encoder.layers.0.forward.weight", 20)
    'model.enc…ard.weight'
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(text) <= longest:
        return text
    tail = longest // 2
    return f"{text[: longest - tail - 1]}…{text[-tail:]}"


def _labels(box: Box) -> list[tuple[str, str]]:
    """The lines of a box with their classes."""
    lines = [("t", shortened(box.title))]
    lines += [("s", shortened(line)) for line in box.lines]
    lines += [("p", shortened(line)) for line in box.attached]
    return lines


def _item(box: Box) -> Item:
    if box.children:
        width = text_width(shortened(box.title), _TITLE, bold=True) + 2 * _INSET
        return Item(box.key, width, children=tuple(_item(child) for child in box.children))
    labels = _labels(box)
    width = max(_width(kind, text) for kind, text in labels) + 2 * _INSET
    return Item(box.key, math.ceil(width), _LINE * len(labels) + 9.0)


def _width(kind: str, text: str) -> float:
    return text_width(text, _TITLE, bold=True) if kind == "t" else text_width(text, _SMALL)


class _Page:
    def __init__(self, drawn: Picture, found: Layout):
        self.drawn, self.found = drawn, found
        self.kinds: dict[str, None] = {}
        self.titles: dict[str, str] = {}
        self.kind_of = {box.key: box.kind for box in drawn.root.leaves()}

    def text(self) -> str:
        title, cost = shortened(self.drawn.root.title, 80), self.drawn.root.lines[0]
        # Boxes in the order of nesting, then arrows, then what must lie over them: the titles of open boxes.
        behind: list[str] = []
        front: list[str] = []
        for box in self.drawn.root.children:
            self.box(box, behind, front)
        arrows = [self.route(route) for route in self.found.routes]
        head = max(text_width(title, 15.0, bold=True), text_width(cost, _SMALL)) if self.drawn.root.children else 0.0
        width = math.ceil(max(self.found.width, head, 240.0) + 2 * _MARGIN)
        legend, legend_height = self.legend(width - 2 * _MARGIN)
        top = 58.0
        height = math.ceil(top + self.found.height + 18.0 + legend_height + _MARGIN)
        shift = (width - self.found.width) / 2
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}" class="sj-graph" role="img">',
                f"<title>{_safe(self.drawn.root.title)}</title>",
                f"<style>{_style()}</style>",
                f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
                f'<text class="name" x="{_MARGIN}" y="26">{_safe(title)}</text>',
                f'<text class="s" x="{_MARGIN}" y="41">{_safe(cost)}</text>',
                f'<g transform="translate({_n(shift)} {_n(top)})">',
                *behind,
                *arrows,
                *front,
                "</g>",
                f'<g transform="translate({_MARGIN} {_n(top + self.found.height + 18.0)})">',
                *legend,
                "</g>",
                "</svg>",
                "",
            ]
        )

    def box(self, box: Box, behind: list[str], front: list[str]) -> None:
        at = self.found.boxes[box.key]
        self.titles[box.key] = box.title
        hot = "" if box.heat is None else f' style="fill:{heat_colour(box.heat)}"'
        ink = f' style="fill:{TEXT}"' if hot else ""  # the green to red is light on any ground
        if box.children:
            where = f'x="{_n(at.x)}" y="{_n(at.y)}" width="{_n(at.width)}"'
            behind.append(f'<rect class="open {box.kind}-open" {where} height="{_n(at.height)}" rx="7"/>')
            title = _safe(shortened(box.title))
            front.append(
                f'<g><title>{_safe(box.tooltip)}</title><rect class="head {box.kind}-head"{hot} {where} '
                f'height="{_n(HEADER - 4)}" rx="7"/>'
                f'<text class="t"{ink} x="{_n(at.x + _INSET)}" y="{_n(at.y + 14.5)}">{title}</text></g>'
            )
            for child in box.children:
                self.box(child, behind, front)
            return
        if box.heat is None:
            self.kinds[box.kind] = None
        lines = []
        for index, (kind, text) in enumerate(_labels(box)):
            y = at.y + 4.0 + _LINE * (index + 1) - 3.5
            lines.append(f'<text class="{kind} m"{ink} x="{_n(at.x + at.width / 2)}" y="{_n(y)}">{_safe(text)}</text>')
        radius = 12 if box.kind in ("input", "output", "using", "state") else 4
        double = _stacked(at) if box.kind in ("module", "backward", "loop") and len(box.lines) > 1 else ""
        where = f'x="{_n(at.x)}" y="{_n(at.y)}"'
        front.append(
            f'<g><title>{_safe(box.tooltip)}</title>{double}<rect class="box {box.kind}"{hot} {where} '
            f'width="{_n(at.width)}" height="{_n(at.height)}" rx="{radius}"/>{"".join(lines)}</g>'
        )

    def route(self, route: Route) -> str:
        pieces = []
        for points in route.pieces:
            path = f"M{_n(points[0][0])} {_n(points[0][1])}"
            for (x0, y0), (x1, y1) in itertools.pairwise(points):
                if abs(x0 - x1) < 0.05:
                    path += f"V{_n(y1)}"
                else:
                    middle = _n((y0 + y1) / 2)
                    path += f"C{_n(x0)} {middle} {_n(x1)} {middle} {_n(x1)} {_n(y1)}"
            pieces.append(path)
        kind = self.kind_of[route.source]
        style = f" {kind}-arrow" if KINDS[kind].line in _DASHES else ""
        heads = "".join(f"M{_n(x)} {_n(y)}l-3.5 -7h7z" for x, y, _ in route.heads)
        names = ", ".join(dict.fromkeys(self.titles[target] for *_, target in route.heads))
        types = ", ".join(dict.fromkeys(arrow.types for arrow in self.drawn.arrows if arrow.source == route.source))
        return (
            f'<g class="arrow{style}"><title>{_safe(f"{self.titles[route.source]} → {names}: {types}")}</title>'
            f'<path class="line" d="{"".join(pieces)}"/><path class="tip" d="{heads}"/></g>'
        )

    def legend(self, width: float) -> tuple[list[str], float]:
        """The colours that occur, in as many rows as it takes."""
        parts, x, y = [], 0.0, 0.0
        entries = [(f"box {key}", kind.name) for key, kind in KINDS.items() if key in self.kinds]
        if any(box.attached for box in self.drawn.root.leaves()):
            entries.append(("", "parameter"))
        for css, name in entries:
            needed = text_width(name, _SMALL) + (18.0 if css else 0.0) + 16.0
            if x and x + needed > width:
                x, y = 0.0, y + 18.0
            if css:
                parts.append(f'<rect class="{css}" x="{_n(x)}" y="{_n(y)}" width="12" height="12" rx="3"/>')
            where = f'x="{_n(x + (17.0 if css else 0.0))}" y="{_n(y + 10)}"'
            parts.append(f'<text class="{"s" if css else "p"}" {where}>{name}</text>')
            x += needed
        return parts, y + 14.0


def _stacked(at: Rect) -> str:
    """A second line under a folded box: there is more inside."""
    return f'<path class="under" d="M{_n(at.x + 5)} {_n(at.bottom + 3)}H{_n(at.right - 5)}"/>'


def _n(number: float) -> str:
    """A coordinate, short."""
    return f"{number:.1f}".removesuffix(".0")


def _safe(text: str) -> str:
    return html.escape("".join(c if c.isprintable() or c == "\n" else " " for c in text))


def _style() -> str:
    mono = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
    light = ["svg.sj-graph{--page:#fff;--ink:#0f172a;--soft:#475569;--part:#166534;--line:#8492a6}"]
    dark = ["svg.sj-graph{--page:#0f1319;--ink:#f1f5f9;--soft:#b3bfce;--part:#86efac;--line:#7c8a9e}"]
    arrows = ""
    for key, kind in KINDS.items():
        light.append(f".sj-graph .{key}{{fill:{kind.fill};stroke:{kind.edge}}}")
        dark.append(f".sj-graph .{key}{{fill:{kind.dark_fill};stroke:{kind.dark_edge}}}")
        for rules, edge, fill in zip((light, dark), kind.frame or (), (kind.fill, kind.dark_fill), strict=False):
            rules.append(f".sj-graph .{key}-open{{fill:{edge};stroke:{edge}}}.sj-graph .{key}-head{{fill:{fill}}}")
        if kind.line in _DASHES:
            arrow = f".sj-graph .{key}-arrow"
            arrows += f"{arrow} .line{{stroke:{kind.edge};stroke-dasharray:{_DASHES[kind.line]}}}"
            arrows += f"{arrow} .tip{{fill:{kind.edge}}}"
    common = (
        f".sj-graph text{{font-family:{mono};font-size:{_SMALL}px;fill:var(--soft)}}"
        f".sj-graph .t{{font-size:{_TITLE}px;font-weight:600;fill:var(--ink)}}"
        ".sj-graph .name{font-size:15px;font-weight:600;fill:var(--ink)}"
        ".sj-graph .p{fill:var(--part)}.sj-graph .m{text-anchor:middle}"
        ".sj-graph .page{fill:var(--page)}.sj-graph .open{fill-opacity:.045;stroke-opacity:.75;stroke-width:1.2}"
        ".sj-graph .box{stroke-width:1.2}"
        ".sj-graph .line{fill:none;stroke:var(--line);stroke-width:1.2}.sj-graph .tip{fill:var(--line)}"
        f"{arrows}"
        ".sj-graph .under{stroke:var(--line);stroke-width:1.5;fill:none}"
        ".sj-graph .arrow:hover .line{stroke:#e11d48;stroke-width:2.2}.sj-graph .arrow:hover .tip{fill:#e11d48}"
    )
    return "".join(light) + common + "@media(prefers-color-scheme:dark){" + "".join(dark) + "}"
