# SPDX-License-Identifier: BSD-2-Clause
"""The curves of several runs over each other: loss and dev scores, one line a run."""

from collections.abc import Sequence

from spago_jax.core.show import finite, title
from spago_jax.drawing.charts.line_chart import Series, line_chart
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.compare.summary import RunSummary
from spago_jax.report.curves import NOT_SCORES, figure
from spago_jax.report.source import Record

MOST_LINES = 6  # as many hues as can be told apart


def overlaid(runs: Sequence[RunSummary], labels: Sequence[str]) -> Html:
    """Charts side by side, each with a line for every run, six runs to a chart.

    The x axis counts epochs where an epoch has not the same number of steps in all runs, else steps.
    """
    lengths = [_steps_per_epoch(run) for run in runs]
    by_epoch = None not in lengths and len(set(lengths)) > 1
    axis = "epoch" if by_epoch else "step"
    charts: list[Html | None] = []
    for first in range(0, len(runs), MOST_LINES):
        some = slice(first, first + MOST_LINES)
        more = f", {labels[some][0]} to {labels[some][-1]}" if len(runs) > MOST_LINES else ""

        def series(kind: str, name: str, some: slice = some) -> list[Series]:
            return [
                Series(label, _points(run.data.records(kind), name, length if by_epoch else None), i, kind == "dev")
                for i, (run, label, length) in enumerate(zip(runs[some], labels[some], lengths[some], strict=True))
            ]

        charts.append(_loss(f"Training loss{more}", "mean since the point before", series("train", "loss"), axis))
        charts.append(_loss(f"Dev loss{more}", "after each evaluation", series("dev", "loss"), axis))
        records = (record for run in runs[some] for record in run.data.records("dev"))
        for name in dict.fromkeys(name for record in records for name in record if name not in NOT_SCORES):
            heading = f"Dev {title(name)}{more}"
            charts.append(figure(heading, "after each evaluation", series("dev", name), x_label=axis))
    return el("div", charts, class_="charts") if any(charts) else Html()


def key(index: int, label: str) -> Html:
    """A run's label with the colour of its lines."""
    return el("span", el("i", class_=f"key k{index % MOST_LINES}"), label, style="white-space:nowrap")


def _steps_per_epoch(run: RunSummary) -> float | None:
    last = run.data.timings[-1] if run.data.timings else {}
    epoch, step = finite(last.get("epoch")), finite(last.get("step"))
    return step / epoch if epoch and step else None


def _points(records: Sequence[Record], name: str, steps_per_epoch: float | None) -> list[tuple[float, float]]:
    found = [(float(r["step"]), value) for r in records if (value := finite(r.get(name))) is not None]
    return found if steps_per_epoch is None else [(step / steps_per_epoch, value) for step, value in found]


def _loss(name: str, about: str, series: Sequence[Series], axis: str) -> Html | None:
    """As the report's own chart of the loss: with a switch to a logarithmic axis, which needs no script."""
    plain = line_chart(series, title=name, x_label=axis)
    log = line_chart(series, title=f"{name}, logarithmic axis", x_label=axis, log=True)
    if not plain:
        return None
    caption = el("figcaption", el("h3", name), el("span", about, class_="note"))
    if not log or any(y <= 0 for s in series for _, y in s.points):
        return el("figure", caption, plain, class_="panel")
    switch = el("label", el("input", type="checkbox", class_="log"), "logarithmic axis", class_="switch")
    both = join(el("div", plain, class_="linear"), el("div", log, class_="logarithmic"))
    return el("figure", caption, switch, both, class_="panel")
