# SPDX-License-Identifier: BSD-2-Clause
"""Histograms over the epochs as heat strips: epochs from left to right, values from bottom to top, darker is more."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from spago_jax.core.show import finite, score
from spago_jax.drawing.charts.png import data_uri
from spago_jax.drawing.html import Html, el, join

KINDS = ("weights", "gradients", "activations")
ROWS, MOST_COLUMNS, MOST_STRIPS = 32, 120, 60

Bins = Mapping[str, Any]


def strips(records: Sequence[Mapping[str, Any]]) -> Html | None:
    """A picture for each array, by kind; nothing without records."""
    parts = []
    for kind in KINDS:
        names = list(dict.fromkeys(name for r in records for name in r.get(kind) or ()))
        pictures = [_strip(name, [r[kind][name] for r in records if name in (r.get(kind) or {})]) for name in names]
        if pictures:
            more = len(pictures) - MOST_STRIPS
            note = f"{more} more are in histograms.jsonl." if more > 0 else None
            parts.append(
                el(
                    "details",
                    el("summary", f"Histograms of {kind}"),
                    el("div", pictures[:MOST_STRIPS], class_="strips"),
                    el("p", note, class_="note") if note else None,
                    class_="split",
                    open=kind == "weights",
                )
            )
    return join(parts) if parts else None


def _strip(name: str, bins: Sequence[Bins]) -> Html:
    step = max(1, math.ceil(len(bins) / MOST_COLUMNS))
    shown = [one for one in bins[::step] if finite(one.get("low")) is not None and finite(one.get("high")) is not None]
    if not shown:
        return el("figure", el("figcaption", el("code", name)))
    low, high = min(one["low"] for one in shown), max(one["high"] for one in shown)
    columns = [spread_over(one, low, high) for one in shown]
    rows = [[255 * (1 - math.sqrt(column[i])) for column in columns] for i in reversed(range(ROWS))]
    says = f"{score(low)} to {score(high)}"
    lost = sum(one.get("not_finite") or 0 for one in shown)
    return el(
        "figure",
        el("img", src=data_uri(rows), alt=f"{name}: {says}"),
        el("figcaption", el("code", name), el("span", says, class_="note")),
        el("span", f"{lost} not finite", class_="bad") if lost else None,
    )


def spread_over(bins: Bins, low: float, high: float, rows: int = ROWS) -> list[float]:
    """The counts of a histogram in ``rows`` equal parts of another range, the fullest part 1.

    A bin is spread evenly over the parts that it reaches into.

    >>> spread_over({"low": 0.0, "high": 2.0, "counts": [4, 2]}, 0.0, 4.0, rows=4)
    [1.0, 0.5, 0.0, 0.0]
    """
    counts = bins["counts"]
    size = (high - low) / rows
    width = (bins["high"] - bins["low"]) / len(counts)
    parts = [0.0] * rows
    for i, number in enumerate(counts):
        begin, end = bins["low"] + i * width - low, bins["low"] + (i + 1) * width - low
        if not number:
            continue
        if size <= 0 or width <= 0:  # all values are one
            parts[min(int(begin / size), rows - 1) if size > 0 else rows // 2] += number
            continue
        for j in range(max(int(begin / size), 0), min(math.ceil(end / size), rows)):
            parts[j] += number * max(min(end, (j + 1) * size) - max(begin, j * size), 0.0) / width
    most = max(parts)
    return [part / most for part in parts] if most > 0 else parts
