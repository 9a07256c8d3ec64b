# SPDX-License-Identifier: BSD-2-Clause
"""The curves of a run: loss, gradient norm, and each score on the dev data."""

from collections.abc import Sequence
from typing import Any

from spago_jax.core.show import count, finite, title
from spago_jax.drawing.charts.line_chart import Series, line_chart
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.source import Record, RunData

NOT_SCORES = frozenset({"step", "kind", "epoch", "loss"})


def curves_section(run: RunData) -> Html:
    """Charts side by side; the best step is marked in each."""
    train, dev = run.records("train"), run.records("dev")
    best = run.best_step
    mark = None if best is None else (float(best), f"best, step {count(best)}")
    charts = [_loss(train, dev, mark)]
    norms = _series("gradient norm", train, "gradient_norm", 3)
    charts.append(figure("Gradient norm", "before clipping, mean since the point before", [norms], mark))
    names = list(dict.fromkeys(name for r in dev for name in r if name not in NOT_SCORES))
    shares = [name for name in names if all(0 <= v <= 1 for v in _values(dev, name))]
    lines = [_series(title(name), dev, name, i, dots=True) for i, name in enumerate(shares)]
    together = "Dev scores" if len(lines) != 1 else f"Dev {lines[0].name}"
    charts.append(figure(together, "after each evaluation", lines, mark))
    for name in names:
        if name not in shares:
            line = _series(title(name), dev, name, 1, dots=True)
            charts.append(figure(f"Dev {title(name)}", "after each evaluation", [line], mark))
    return el("div", charts, class_="charts") if any(charts) else Html()


def figure(name: str, about: str, series: Sequence[Series], mark: Any = None, **options: Any) -> Html | None:
    """One chart with its heading, or None where there is nothing to draw."""
    chart = line_chart(series, title=name, x_label=options.pop("x_label", "step"), mark=mark, **options)
    return el("figure", _heading(name, about), chart, class_="panel") if chart else None


def _heading(name: str, about: str) -> Html:
    return el("figcaption", el("h3", name), el("span", about, class_="note"))


def _loss(train: Sequence[Record], dev: Sequence[Record], mark: Any) -> Html | None:
    series = [_series("train", train, "loss", 0), _series("dev", dev, "loss", 1, dots=True)]
    plain = line_chart(series, title="Loss", x_label="step", mark=mark)
    if not plain:
        return None
    log = line_chart(series, title="Loss, logarithmic axis", x_label="step", mark=mark, log=True)
    about = "train: mean since the point before; dev: after each evaluation"
    if not log or any(y <= 0 for s in series for _, y in s.points):
        return el("figure", _heading("Loss", about), plain, class_="panel")
    box = el("input", type="checkbox", class_="log")  # the style sheet reads it: no script needed
    switch = el("label", box, "logarithmic axis", class_="switch")
    both = join(el("div", plain, class_="linear"), el("div", log, class_="logarithmic"))
    return el("figure", _heading("Loss", about), switch, both, class_="panel")


def _values(records: Sequence[Record], name: str) -> list[float]:
    return [v for r in records if (v := finite(r.get(name))) is not None]


def _series(label: str, records: Sequence[Record], name: str, colour: int, *, dots: bool = False) -> Series:
    points = [(float(r["step"]), v) for r in records if (v := finite(r.get(name))) is not None]
    return Series(label, points, colour, dots)
