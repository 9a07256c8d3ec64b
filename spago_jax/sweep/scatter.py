# SPDX-License-Identifier: BSD-2-Clause
"""A parameter against the score: a dot for each trial, as inline SVG."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from spago_jax.drawing.charts.line_chart import BOTTOM, CHARACTER, HEIGHT, TOP
from spago_jax.drawing.charts.ticks import Scale, log_ticks, nice_ticks, tick_texts
from spago_jax.drawing.html import Html, el
from spago_jax.report.compare.differences import setting

WIDTH = 560


class Dot(NamedTuple):
    """One trial: the value of the parameter, the score, its name, and whether it is the best."""

    value: Any
    score: float
    name: str
    best: bool = False


def scatter(dots: Sequence[Dot], *, x_label: str, y_label: str, choices: Sequence[Any] | None, log: bool) -> Html:
    """A chart of dots; the best one is large and named.

    Args:
        dots: the trials.
        x_label: the parameter.
        y_label: the score.
        choices: the values of the parameter where they are listed: each has its place, in their order; else they are
            numbers on an axis.
        log: whether the axis of numbers is logarithmic.

    Returns:
        The SVG element, or nothing where there is no dot.
    """
    if not dots:
        return Html()
    scores = [dot.score for dot in dots]
    y_ticks = nice_ticks(min(scores), max(scores))
    y_texts = tick_texts(y_ticks)
    left = 14 + CHARACTER * max(map(len, y_texts))
    at_y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    if choices is not None:
        ticks, texts = list(range(len(choices))), [_short(value, len(choices)) for value in choices]
        at_x = Scale(-0.5, len(choices) - 0.5, left, WIDTH - 16)
        places = {setting(value): i for i, value in enumerate(choices)}
        xs = [float(places[setting(dot.value)]) for dot in dots]
    else:
        xs = [float(dot.value) for dot in dots]
        ticks = log_ticks(min(xs), max(xs)) if log else nice_ticks(min(xs), max(xs), 6)
        texts = tick_texts(ticks)
        at_x = Scale(ticks[0], ticks[-1], left, WIDTH - 24, log)
    base = HEIGHT - BOTTOM
    parts: list[Html] = []
    for tick, words in zip(y_ticks, y_texts, strict=True):
        y = round(at_y(tick), 1)
        parts.append(el("line", x1=left, x2=WIDTH - 16, y1=y, y2=y, class_="grid"))
        parts.append(el("text", words, x=left - 7, y=y + 4, text_anchor="end"))
    parts.append(el("line", x1=left, x2=WIDTH - 16, y1=base, y2=base, class_="axis"))
    for tick, words in zip(ticks, texts, strict=True):
        x = round(at_x(tick), 1)
        parts.append(el("line", x1=x, x2=x, y1=base, y2=base + 4, class_="axis"))
        parts.append(el("text", words, x=x, y=base + 17, text_anchor="middle"))
    middle = (left + WIDTH - 16) / 2
    parts.append(el("text", x_label, x=middle, y=HEIGHT - 5, text_anchor="middle", class_="label"))
    # The best one last, so that no other lies over it.
    for dot, x in sorted(zip(dots, xs, strict=True), key=lambda pair: pair[0].best):
        parts += _dot(dot, round(at_x(x), 1), round(at_y(dot.score), 1))
    heading = el("title", f"{y_label} by {x_label}")
    return el("svg", heading, parts, class_="chart", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")


def _dot(dot: Dot, x: float, y: float) -> list[Html]:
    hint = el("title", f"{dot.name}: {dot.score:.6g} at {setting(dot.value)}")
    colour = "k1" if dot.best else "k0"
    circle = el("circle", hint, cx=x, cy=y, r=6 if dot.best else 4.5, class_=f"dot {colour}")
    if not dot.best:
        return [circle]
    far = x > WIDTH * 0.75
    place = {"x": x - 10 if far else x + 10, "y": y + 4, "text_anchor": "end" if far else "start"}
    return [circle, el("text", dot.name, class_=f"name {colour}", **place)]


def _short(value: object, count: int) -> str:
    """A value as it fits under an axis with so many of them."""
    text = setting(value)
    most = max(4, int(WIDTH / count / CHARACTER) - 2)
    return text if len(text) <= most else f"{text[: most - 1]}…"
