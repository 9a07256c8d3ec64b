# SPDX-License-Identifier: BSD-2-Clause
"""Line charts as inline SVG: axes with round ticks, a label at the end of each line, a mark at one step."""

import dataclasses
import json
from collections.abc import Sequence

from spago_jax.core.show import score
from spago_jax.drawing.charts.ticks import Scale, log_ticks, nice_ticks, tick_texts
from spago_jax.drawing.html import Html, el

Point = tuple[float, float]

HEIGHT, TOP, BOTTOM = 270, 24, 40
MOST_POINTS = 400
LABEL_GAP = 15.0
CHARACTER = 6.9  # width of a digit or a letter of the 12 px labels, on the wide side
MOST_DIRECT_LABELS = 6


@dataclasses.dataclass(frozen=True)
class Series:
    """One line: its points by rising x, its colour (0 to 5), and whether each point gets a dot."""

    name: str
    points: Sequence[Point]
    colour: int = 0
    dots: bool = False


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most about `most` points with the same outline: of each stretch the lowest and the highest.

    >>> thin([(0, 1.0), (1, 9.0), (2, 2.0), (3, 3.0), (4, 0.0), (5, 4.0)], most=4)
    [(0, 1.0), (1, 9.0), (4, 0.0), (5, 4.0)]
    """
    if len(points) <= most:
        return list(points)
    stretches = max(most // 2, 1)
    kept = {0, len(points) - 1}
    for i in range(stretches):
        indices = range(i * len(points) // stretches, (i + 1) * len(points) // stretches)
        kept |= {min(indices, key=lambda j: points[j][1]), max(indices, key=lambda j: points[j][1])}
    return [points[j] for j in sorted(kept)]


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Moves labels apart, in their order, so that none is nearer than `gap` to the next, within [low, high].

    >>> spread([10.0, 12.0, 50.0], 10, 0, 100)
    [10.0, 20.0, 50.0]
    >>> spread([95.0, 99.0], 10.0, 0.0, 100.0)
    [90.0, 100.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    edge = low
    for i in order:
        moved[i] = edge = max(moved[i], edge)
        edge += gap
    edge = high
    for i in reversed(order):
        moved[i] = edge = min(moved[i], edge)
        edge -= gap
    return moved


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    log: bool = False,
    mark: tuple[float, str] | None = None,
    width: int = 560,
    zero: bool = False,
) -> Html:
    """A chart of lines over a common x axis.

    Args:
        series: the lines; those without points are left out.
        title: for readers of the page who cannot see the chart.
        x_label: what the x axis counts.
        log: whether the y axis is logarithmic; values at or below zero are left out.
        mark: an x and the words to write beside a dashed line there.
        width: of the drawing; it is scaled to the place it has.
        zero: whether the y axis starts at zero.

    Returns:
        The SVG element, or nothing where there is no point to draw.
    """
    drawn = [dataclasses.replace(s, points=thin([p for p in s.points if not log or p[1] > 0])) for s in series]
    drawn = [s for s in drawn if s.points]
    if not drawn:
        return Html()
    ys = [y for s in drawn for _, y in s.points] + ([0.0] if zero and not log else [])
    xs = [x for s in drawn for x, _ in s.points] + ([mark[0]] if mark else [])
    y_ticks = log_ticks(min(ys), max(ys)) if log else nice_ticks(min(ys), max(ys))
    x_low, x_high = min(xs), max(xs)
    if x_low == x_high:
        x_low, x_high = x_low - 1, x_high + 1
    x_ticks = [t for t in nice_ticks(x_low, x_high, 6) if x_low <= t <= x_high and t == round(t)]
    y_texts = tick_texts(y_ticks)
    direct = 1 < len(drawn) <= MOST_DIRECT_LABELS
    left = 14 + CHARACTER * max(map(len, y_texts))
    right = 14 + CHARACTER * max(len(s.name) for s in drawn) if direct else 16
    at_x = Scale(x_low, x_high, left, width - right)
    at_y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP, log)
    parts = [
        *_y_axis(y_ticks, y_texts, at_y, left, width - right),
        *_x_axis(x_ticks, at_x, x_label),
        *(_mark(mark, at_x) if mark else []),
        *[part for s in drawn for part in _line(s, at_x, at_y)],
        *(_end_labels(drawn, at_x, at_y) if direct else []),
    ]
    svg = el(
        "svg",
        el("title", title),
        parts,
        class_="chart",
        viewBox=f"0 0 {width} {HEIGHT}",
        role="img",
        data_chart=_for_hover(drawn, at_x, at_y, x_label),
    )
    return el("div", _legend(drawn), svg) if len(drawn) > MOST_DIRECT_LABELS else svg


def _y_axis(ticks: list[float], texts: list[str], at: Scale, left: float, right: float) -> list[Html]:
    parts = []
    for tick, words in zip(ticks, texts, strict=True):
        y = round(at(tick), 1)
        parts.append(el("line", x1=left, x2=right, y1=y, y2=y, class_="grid"))
        parts.append(el("text", words, x=left - 7, y=y + 4, text_anchor="end"))
    return parts


def _x_axis(ticks: list[float], at: Scale, label: str) -> list[Html]:
    base = HEIGHT - BOTTOM
    parts = [el("line", x1=at.start, x2=at.end, y1=base, y2=base, class_="axis")]
    for tick, words in zip(ticks, tick_texts(ticks), strict=True):
        x = round(at(tick), 1)
        parts.append(el("line", x1=x, x2=x, y1=base, y2=base + 4, class_="axis"))
        parts.append(el("text", words, x=x, y=base + 17, text_anchor="middle"))
    parts.append(el("text", label, x=(at.start + at.end) / 2, y=HEIGHT - 5, text_anchor="middle", class_="label"))
    return parts


def _mark(mark: tuple[float, str], at: Scale) -> list[Html]:
    x = round(at(mark[0]), 1)
    far = x > (at.start + at.end) / 2
    return [
        el("line", x1=x, x2=x, y1=TOP - 8, y2=HEIGHT - BOTTOM, class_="mark"),
        el(
            "text", mark[1], x=x + (-6 if far else 6), y=TOP - 10, text_anchor="end" if far else "start", class_="label"
        ),
    ]


def _line(series: Series, at_x: Scale, at_y: Scale) -> list[Html]:
    places = [(round(at_x(x), 1), round(at_y(y), 1)) for x, y in series.points]
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
    parts = [el("path", d=path, class_=f"line k{series.colour % 6}")]
    if series.dots or len(places) == 1:
        parts += [
            el(
                "circle",
                el("title", f"{series.name} {score(y)} at {x:,.0f}"),
                cx=cx,
                cy=cy,
                r=3 if len(places) <= 60 else 1.5,
                class_=f"dot k{series.colour % 6}",
            )
            for (x, y), (cx, cy) in zip(series.points, places, strict=True)
        ]
    return parts


def _end_labels(drawn: list[Series], at_x: Scale, at_y: Scale) -> list[Html]:
    places = spread([at_y(s.points[-1][1]) for s in drawn], LABEL_GAP, TOP, HEIGHT - BOTTOM - 4)
    return [
        el("text", s.name, x=at_x.end + 8, y=round(y + 4, 1), class_=f"name k{s.colour % 6}")
        for s, y in zip(drawn, places, strict=True)
    ]


def _legend(drawn: list[Series]) -> Html:
    return el("p", [el("span", el("i", class_=f"key k{s.colour % 6}"), s.name) for s in drawn], class_="legend")


def _for_hover(drawn: list[Series], at_x: Scale, at_y: Scale, x_label: str) -> str:
    """What the script needs to show values under the pointer: places on the page, and values as text."""
    lines = [
        {
            "name": s.name,
            "k": s.colour % 6,
            "at": [[round(at_x(x), 1), round(at_y(y), 1)] for x, y in s.points],
            "is": [[f"{x:,.0f}", score(y)] for x, y in s.points],
        }
        for s in drawn
    ]
    box = [at_x.start, TOP, at_x.end, HEIGHT - BOTTOM]
    return json.dumps({"x": x_label, "box": box, "lines": lines}, separators=(",", ":"))
