# SPDX-License-Identifier: BSD-2-Clause
"""The page of a sweep: its trials in a table, each parameter against the score, the curves of the best."""

from collections.abc import Sequence
from pathlib import Path

from spago_jax.core.disk import replace_file
from spago_jax.core.show import count, finite, score, seconds_text, title
from spago_jax.drawing.html import Html, el, join
from spago_jax.errors import InputError
from spago_jax.report.compare.curves import MOST_LINES, overlaid
from spago_jax.report.compare.differences import setting
from spago_jax.report.compare.page import page
from spago_jax.report.compare.summary import RunSummary, read_summary
from spago_jax.report.table import Cell, Column, table
from spago_jax.sweep.folder import Record, SweepResult, label
from spago_jax.sweep.scatter import Dot, scatter
from spago_jax.sweep.schema import Values


def write_page(result: SweepResult) -> Path:
    """Writes ``report.html`` into the sweep's folder; it needs no other file, but links to the reports of the trials.

    Raises:
        OSError: when it cannot be written.
    """
    path = result.folder / "report.html"
    replace_file(path, render(result))
    return path


def render(result: SweepResult) -> str:
    """The page as text."""
    records = result.best_first()
    whole = [record for record in records if record["state"] == "finished"]
    best = whole[0] if whole else None
    sections = [
        ("Trials", "trials", trials_table(result, records)),
        ("Rungs", "rungs", _rungs(result)),
        (f"Settings and {title(result.metric.name)}", "settings", _charts(result, whole)),
        (f"Curves of the best {min(len(whole), MOST_LINES)}", "curves", _curves(result, whole[:MOST_LINES])),
    ]
    return page("spago_jax sweep", result.sweep.name, [_lead(result), _facts(result, records, best)], sections)


def _lead(result: SweepResult) -> Html | None:
    about = result.sweep.description
    return el("p", about, class_="lead") if about else None


def _facts(result: SweepResult, records: Sequence[Record], best: Record | None) -> Html:
    failed = sum(record["state"] == "failed" for record in records)
    seconds = sum(finite(record.get("seconds")) or 0.0 for record in records)
    facts = [("method", result.sweep.method.kind), ("trials", f"{len(records)} of {len(result.trials)}")]
    if failed:
        facts.append(("failed", str(failed)))
    if best is not None:
        facts.append((f"best dev {title(result.metric.name)}", score(best["score"])))
        facts.append(("of trial", label(best)))
    facts.append(("time of training", seconds_text(seconds)))
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in facts], class_="facts")


def trials_table(result: SweepResult, records: Sequence[Record]) -> Html:
    """One row per trial, the best first, with a link to its own report."""
    metric = result.metric.name
    tested = any(metric in record.get("scores", {}).get("test", {}) for record in records)
    columns = [
        Column("", number=True),
        Column("trial"),
        *(Column(key) for key in result.keys),
        Column(f"dev {title(metric)}", number=True),
        *([Column(f"test {title(metric)}", number=True)] if tested else []),
        Column("epochs", number=True),
        Column("parameters", number=True),
        Column("time", number=True),
    ]
    rows: list[list[object]] = []
    for place, record in enumerate(records, start=1):
        name = label(record)
        values = [_value(record["settings"][key]) for key in result.keys]
        link = el("a", name, href=f"{record['folder']}/report.html")
        if record["state"] == "failed":
            why = el("span", f"failed: {record['reason']}", class_="bad")
            rows.append(["", link, *values, Cell("", ""), *([""] if tested else []), "", "", ""])
            rows[-1][1] = join(link, " ", why)
            continue
        rows.append([
            Cell(str(place), place),
            link,
            *values,
            Cell(el("b", score(record["score"])) if place == 1 else score(record["score"]), record["score"]),
            *([_tested(record, metric)] if tested else []),
            Cell(count(record["epochs"]), record["epochs"]),
            Cell(count(record["parameters"]), record["parameters"]),
            Cell(seconds_text(record["seconds"]), record["seconds"]),
        ])  # fmt: skip
    return table(columns, rows, sortable=True)


def _value(value: object) -> Cell:
    number = finite(value)
    return Cell(el("code", setting(value)), number if number is not None else setting(value))


def _tested(record: Record, metric: str) -> Cell:
    value = finite(record["scores"].get("test", {}).get(metric))
    return Cell("" if value is None else score(value), value)


def _rungs(result: SweepResult) -> Html:
    """Of successive halving: what each rung tried and found."""
    numbers = sorted({record["rung"] for record in result.records})
    if len(numbers) < 2:
        return Html()
    rows = []
    for rung in numbers:
        records = [record for record in result.records if record["rung"] == rung]
        whole = [record for record in records if record["state"] == "finished"]
        scores = [record["score"] for record in whole]
        best = None if not scores else max(scores) if result.metric.better == "max" else min(scores)
        epochs = max((record["epochs"] for record in whole), default=None)
        on = sorted(label(r) for r in result.records if r["rung"] == rung + 1)
        rows.append((str(rung + 1), str(len(records)), count(epochs), score(best), ", ".join(on)))
    heads = [Column("rung", number=True), Column("trials", number=True), Column("epochs", number=True)]
    best_head = Column(f"best dev {title(result.metric.name)}", number=True)
    return table([*heads, best_head, Column("went on")], rows)


def _charts(result: SweepResult, whole: Sequence[Record]) -> Html:
    """For each parameter that was varied, a dot a trial."""
    if not whole:
        return Html()
    last = max(record["rung"] for record in whole)
    name = title(result.metric.name)
    panels = []
    for key, parameter in result.sweep.parameters.items():
        choices = list(parameter.choice) if isinstance(parameter, Values) else None
        if choices is not None and len(choices) < 2:
            continue
        dots = [Dot(r["settings"][key], r["score"], label(r), i == 0) for i, r in enumerate(whole)]
        log = not isinstance(parameter, Values) and parameter.scale == "log"
        chart = scatter(dots, x_label=key, y_label=f"dev {name}", choices=choices, log=log)
        about = f"dev {name} of each trial" + (", after the epochs that it had" if last > 0 else "")
        heading = el("figcaption", el("h3", key), el("span", about, class_="note"))
        panels.append(el("figure", heading, chart, class_="panel"))
    return el("div", panels, class_="charts") if panels else Html()


def _curves(result: SweepResult, best: Sequence[Record]) -> Html:
    runs: list[RunSummary] = []
    for record in best:
        try:
            runs.append(read_summary(result.folder / record["folder"]))
        except InputError:  # somebody deleted the folder; its scores are still in the table
            continue
    return overlaid(runs, [run.path.name.partition("-")[0] for run in runs]) if runs else Html()
