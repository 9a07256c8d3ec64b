# SPDX-License-Identifier: BSD-2-Clause
"""What has to be known before two runs are compared: where their numbers do not mean the same."""

from collections.abc import Sequence

from spago_jax.report.compare.differences import differing
from spago_jax.report.compare.summary import RunSummary


def notes(runs: Sequence[RunSummary], labels: Sequence[str]) -> list[str]:
    """A sentence for each reason why numbers of these runs are not comparable.

    Args:
        runs: the runs.
        labels: what each is called in the sentences.
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
            found.append(f"{label} is {run.state}: its dev scores are those of its best evaluation so far")
    return found
