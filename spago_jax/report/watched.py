# SPDX-License-Identifier: BSD-2-Clause
"""What was watched: values by epoch with their trends, update ratios, activations, and the actions that were done."""

from collections.abc import Iterable, Sequence

from spago_jax.core.show import count, finite, score
from spago_jax.drawing.charts.line_chart import Series
from spago_jax.drawing.charts.strips import strips
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.curves import figure
from spago_jax.report.source import Record, RunData
from spago_jax.report.table import Cell, Column, bar, table
from spago_jax.train.watch.trend import Trend

WINDOW = 5
LINES, MOST_CHARTS = 6, 4
PLAIN = ("loss", "gradient_norm", "learning_rate")
FAMILIES = {
    "gradient": ("Gradient norms", "of the whole batch, mean of the epoch's steps"),
    "weight": ("Weight norms", "before each update, mean of the epoch's steps"),
    "update": ("Update to weight", "norm of the update over norm of the weights; about 0.001 is usual"),
}


def watched_section(run: RunData) -> Html:
    """Charts of the taps, of gradients, weights and updates; tables of activations, trends and actions; histograms."""
    records = run.records("watch")
    names = list(dict.fromkeys(name for r in records for name in r if name not in ("step", "kind", "epoch")))
    families = tuple(f"{family}/" for family in (*FAMILIES, "activation"))
    tags = [name for name in names if name not in PLAIN and not name.startswith(families)]
    actions = run.records("action")
    mark = None
    if actions and finite(actions[0].get("epoch")) is not None:
        mark = (float(actions[0]["epoch"]), "first action")
    charts = _charts("Taps", "mean over the values, and over the epoch's steps", records, tags, mark)
    if records and actions:
        charts += _charts("Learning rate", "at the end of the epoch", records, ["learning_rate"], mark)
    for family, (name, about) in FAMILIES.items():
        own = [n for n in names if n.startswith(f"{family}/")]
        charts += _charts(name, about, records, own, mark, prefix=f"{family}/", log=True)
    return join(
        _actions(actions),
        el("div", charts, class_="charts") if charts else None,
        _activations(records, names),
        _trends(records, [n for n in names if not n.startswith("activation/")]),
        strips(run.histograms),
    )


def _charts(
    name: str,
    about: str,
    records: Sequence[Record],
    names: Sequence[str],
    mark: tuple[float, str] | None,
    *,
    prefix: str = "",
    log: bool = False,
) -> list[Html]:
    """The lines of some names, six a chart; of more than the first 24 the table has the numbers."""
    charts = []
    for begin in range(0, min(len(names), LINES * MOST_CHARTS), LINES):
        part = names[begin : begin + LINES]
        lines = [Series(n.removeprefix(prefix), _points(records, n), i, dots=True) for i, n in enumerate(part)]
        title = f"{name} {begin + 1} to {begin + len(part)} of {len(names)}" if len(names) > LINES else name
        chart = figure(title, about, lines, mark, x_label="epoch", log=log)
        charts += [chart] if chart else []
    return charts


def _points(records: Iterable[Record], name: str) -> list[tuple[float, float]]:
    return [(float(r["epoch"]), v) for r in records if (v := finite(r.get(name))) is not None]


def _trends(records: Sequence[Record], names: Sequence[str]) -> Html | None:
    if not records:
        return None
    columns = [
        Column("value"), Column("first", number=True), Column("last", number=True), Column("mean", number=True),
        Column("slope", number=True, hint=f"least squares over the last {WINDOW} epochs"),
        Column("direction", hint=f"over the last {WINDOW} epochs, tolerance one part in a thousand of the mean"),
    ]  # fmt: skip
    rows = []
    for name in names:
        trend = Trend([y for _, y in _points(records, name)])
        if len(trend) < 2:
            continue
        tolerance = 1e-3 * (abs(trend.mean) or 1.0)
        slope = trend.slope(WINDOW)
        states = ["stalled" if trend.stalled(WINDOW, tolerance) else "falling" if slope < 0 else "rising"]
        states += ["oscillating"] if trend.oscillating(WINDOW, tolerance) else []
        shown = [Cell(score(v), v) for v in (trend.values[0], trend.latest, trend.mean)]
        rows.append((el("code", name), *shown, Cell(f"{slope:+.3g}", slope), ", ".join(states)))
    if not rows:
        return None
    note = f"Means by epoch; slope and direction over the last {WINDOW} epochs."
    whole = join(el("p", note, class_="note"), table(columns, rows, sortable=True))
    return el("details", el("summary", "Trends"), whole, class_="split", open=len(rows) <= 14)


def _activations(records: Sequence[Record], names: Sequence[str]) -> Html | None:
    modules = list(dict.fromkeys(n.split("/")[1] for n in names if n.startswith("activation/")))
    if not modules:
        return None
    last = records[-1]
    columns = [
        Column("module"), Column("mean", number=True), Column("root mean square", number=True),
        Column("zeros", hint="share of the values that are zero"),
        Column("dead units", hint="share of the units that are zero everywhere in a batch"),
    ]  # fmt: skip

    def line(module: str) -> tuple[Html | Cell, ...]:
        mean, rms, zeros, dead = (
            finite(last.get(f"activation/{module}/{what}")) for what in ("mean", "rms", "zeros", "dead")
        )
        shares = [
            bar(v or 0.0, "n/a" if v is None else f"{100 * v:.1f}%", colour=i) for i, v in ((0, zeros), (1, dead))
        ]
        return el("code", module), Cell(score(mean), mean), Cell(score(rms), rms), *shares

    note = f"Outputs of the modules in epoch {count(last.get('epoch'))}, mean of its steps."
    return join(
        el("h3", "Activations"),
        el("p", note, class_="note"),
        table(columns, [line(module) for module in modules], sortable=True),
    )


def _actions(actions: Sequence[Record]) -> Html | None:
    if not actions:
        return None
    columns = [Column("epoch", number=True), Column("step", number=True), Column("when"), Column("what was done")]
    rows = [
        (Cell(count(r.get("epoch")), finite(r.get("epoch"))), Cell(count(r["step"]), finite(r["step"])),
         str(r.get("when", "")), str(r.get("did", "")))
        for r in actions
    ]  # fmt: skip
    return join(el("h3", "Actions"), table(columns, rows))
