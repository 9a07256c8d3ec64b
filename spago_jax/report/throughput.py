# SPDX-License-Identifier: BSD-2-Clause
"""How fast a run went: a chart by epoch, and totals."""

from collections.abc import Sequence
from statistics import median

from spago_jax.core.show import count, finite, rate_text, seconds_text
from spago_jax.drawing.charts.line_chart import Series
from spago_jax.drawing.html import Html, el
from spago_jax.report.curves import figure
from spago_jax.report.source import Record, RunData


def spent(timings: Sequence[Record]) -> float:
    """Seconds of all epochs with their evaluations, those that a resumed run did again included."""
    return sum(finite(r.get("total_seconds")) or finite(r.get("seconds")) or 0.0 for r in timings)


def throughput_section(run: RunData) -> Html:
    """Units a second by epoch, and what they add up to."""
    timed = [r for r in run.timings if finite(r.get("units")) and finite(r.get("seconds"))]
    if not timed:
        return Html()
    unit = str(timed[-1].get("unit", "units"))
    last = {r.get("epoch", i + 1): r for i, r in enumerate(timed)}  # a resumed epoch was written twice
    points = [(float(epoch), r["units"] / r["seconds"]) for epoch, r in sorted(last.items())]
    units, seconds = sum(r["units"] for r in timed), sum(r["seconds"] for r in timed)
    steps = sum(finite(r.get("steps")) or 0 for r in timed)
    facts = [
        ("total time", seconds_text(spent(run.timings))),
        ("training alone", seconds_text(seconds)),
        (f"{unit} trained on", count(units)),
        ("mean rate", rate_text(units, seconds, unit)),
        ("an epoch (median)", seconds_text(median(r["seconds"] for r in timed))),
        ("a step (mean)", f"{1000 * seconds / steps:.3g} ms" if steps else ""),
    ]
    rows = [el("tr", el("th", name, scope="row"), el("td", value)) for name, value in facts if value]
    chart = figure(
        f"Training speed, {unit} a second",
        "evaluation and checkpoints not counted",
        [Series(f"{unit}/s", points, 2, dots=True)],
        x_label="epoch",
        zero=True,
    )
    table = el(
        "figure", el("figcaption", el("h3", "Time")), el("table", el("tbody", rows), class_="plain"), class_="panel"
    )
    return el("div", chart, table, class_="charts")
