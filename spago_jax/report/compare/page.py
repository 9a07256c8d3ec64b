# SPDX-License-Identifier: BSD-2-Clause
"""Several runs on one page that needs no other file: scores, curves, settings that differ, size and speed."""

import os
from collections.abc import Sequence

from spago_jax.core.show import count, letters, score, seconds_text, title
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.compare.curves import key, overlaid
from spago_jax.report.compare.differences import differing, setting
from spago_jax.report.compare.summary import RunSummary
from spago_jax.report.page import document
from spago_jax.report.table import Cell, Column, bar, table


def run_letters(number: int) -> list[str]:
    """Short names of runs.

    >>> run_letters(3), run_letters(28)[-2:]
    (['A', 'B', 'C'], ['AA', 'AB'])
    """
    return [letters(i).upper() for i in range(number)]


def comparison(runs: Sequence[RunSummary]) -> str:
    """The page of two runs and more, as text."""
    labels = run_letters(len(runs))
    names = short_names(runs)
    remarks = notes(runs, labels)
    sections = [
        ("Scores", "scores", scores_table(runs, labels)),
        ("Curves", "curves", overlaid(runs, labels)),
        ("Settings that differ", "settings", settings_table(runs, labels)),
        ("Size and speed", "speed", speed_table(runs, labels)),
    ]
    return page(
        "spago_jax comparison",
        ", ".join(names) if len(names) <= 3 else f"{len(names)} runs",
        [
            [el("p", f"{remark[0].upper()}{remark[1:]}.", class_="banner") for remark in remarks],
            el(
                "p",
                [
                    el("span", key(i, f"{label}: "), name)
                    for i, (label, name) in enumerate(zip(labels, names, strict=True))
                ],
                class_="legend",
            ),
        ],
        sections,
    )


def page(kicker: str, name: str, top: Sequence[object], sections: Sequence[tuple[str, str, Html]]) -> str:
    """A page with a heading, a menu and those sections that hold something."""
    present = [section for section in sections if section[2]]
    header = el("header", el("p", kicker, class_="kicker"), el("h1", name), top)
    menu = el("nav", [el("a", words, href=f"#{anchor}") for words, anchor, _ in present])
    body = [el("section", el("h2", words), content, id=anchor) for words, anchor, content in present]
    return document(name, join(header, menu, body))


def short_names(runs: Sequence[RunSummary]) -> list[str]:
    """The paths of runs without the folder that all of them share."""
    paths = [str(run.path) for run in runs]
    if len(paths) < 2:
        return paths
    common = os.path.commonpath([os.path.abspath(path) for path in paths])
    found = [os.path.relpath(path, common) for path in paths]
    return paths if "." in found else found


def scores_table(runs: Sequence[RunSummary], labels: Sequence[str]) -> Html:
    """One row per run: the scores of its best checkpoint, the best of each column in bold."""
    columns = [(split, name) for split in ("dev", "test")
               for name in dict.fromkeys(name for run in runs for name in getattr(run, split))]  # fmt: skip
    best = {column: _best(runs, *column) for column in columns}

    def cell(run: RunSummary, split: str, name: str) -> Cell:
        value = getattr(run, split).get(name)
        if value is None:
            return Cell("")
        shown = score(value)
        return Cell(el("b", shown) if value == best[split, name] else shown, value)

    rows = [
        (key(i, label), name, run.task, run.state, *(cell(run, *column) for column in columns))
        for i, (label, name, run) in enumerate(zip(labels, short_names(runs), runs, strict=True))
    ]
    heads = [Column(f"{split} {title(name)}", number=True) for split, name in columns]
    return table([Column(""), Column("run"), Column("model"), Column("state"), *heads], rows, sortable=True)


def _best(runs: Sequence[RunSummary], split: str, name: str) -> float | None:
    values = [(run.mode(name), getattr(run, split)[name]) for run in runs if name in getattr(run, split)]
    if len(values) < 2:
        return None
    return max(v for _, v in values) if values[0][0] == "max" else min(v for _, v in values)


def settings_table(runs: Sequence[RunSummary], labels: Sequence[str]) -> Html:
    """One row per key that differs, one column per run."""
    keys = differing([run.config for run in runs])
    if not keys:
        return el("p", "All settings are the same.", class_="note")
    rows = [
        (el("code", name), *(el("code", setting(run.config[name])) if name in run.config else "" for run in runs))
        for name in keys
    ]
    return table([Column("key"), *(Column(label) for label in labels)], rows)


def speed_table(runs: Sequence[RunSummary], labels: Sequence[str]) -> Html:
    """Parameters, steps, time and rate."""
    most = max((run.rate or 0.0 for run in runs), default=0.0)
    size = max((run.parameters for run in runs), default=0)
    rows = [
        (
            key(i, label),
            bar(run.parameters, count(run.parameters), most=size, colour=i % 6),
            Cell(of_asked(run.epochs, run.epochs_asked), run.epochs),
            Cell(of_asked(run.steps, run.steps_asked), run.steps),
            Cell(seconds_text(run.seconds), run.seconds),
            bar(run.rate, f"{count(run.rate)} {run.unit}/s", most=most, colour=i % 6) if run.rate else "",
        )
        for i, (label, run) in enumerate(zip(labels, runs, strict=True))
    ]
    columns = [
        Column(""),
        Column("parameters"),
        Column("epochs", number=True),
        Column("steps", number=True),
        Column("time", number=True),
        Column("training speed"),
    ]
    return table(columns, rows, sortable=True)


def of_asked(done: int, asked: int | None) -> str:
    """How many there were, of how many there should be; that is left away where there were more.

    >>> of_asked(3, 20), of_asked(20, 16), of_asked(1200, None)
    ('3/20', '20', '1,200')
    """
    return f"{done:,}/{asked:,}" if asked and done <= asked else f"{done:,}"


def notes(runs: Sequence[RunSummary], labels: Sequence[str]) -> list[str]:
    """One sentence per reason why numbers of these runs are not comparable.

    Args:
        runs: the runs.
        labels: their names in the sentences.
    """
    found = []
    by_metric: dict[str, list[str]] = {}
    for run, label in zip(runs, labels, strict=True):
        by_metric.setdefault(run.metric.name if run.metric else "no score", []).append(label)
    if len(by_metric) > 1:
        listed = ", ".join(f"{name} ({' '.join(names)})" for name, names in by_metric.items())
        found.append(f"not comparable: the runs are judged by different scores: {listed}")
    kinds = sorted({run.task for run in runs})
    if len(kinds) > 1:
        found.append(f"not comparable: the losses are those of different tasks: {', '.join(kinds)}")
    data = differing([{k: v for k, v in run.config.items() if k.startswith("data.")} for run in runs])
    if data:
        found.append(f"not comparable without care: the data differ in {', '.join(data)}")
    units = sorted({run.unit for run in runs if run.unit})
    if len(units) > 1:
        found.append(f"not comparable: the speeds count different things: {', '.join(units)}")
    for run, label in zip(runs, labels, strict=True):
        if run.state != "finished":
            first = run.reason.partition(". ")[0].rstrip(".")
            known = {"failed": f"failed ({first})", "interrupted": "was interrupted"}
            state = known.get(run.state, f"is {run.state}")
            found.append(f"{label} {state}: its dev scores are those of its best evaluation so far")
    return found
