# SPDX-License-Identifier: BSD-2-Clause
"""The top of the page: what was trained, what it reached, what a simple method reaches."""

from collections.abc import Mapping
from typing import Any

from spago_jax.core.show import count, finite, score, seconds_text, title
from spago_jax.drawing.html import Html, el, join
from spago_jax.report.source import RunData
from spago_jax.report.throughput import spent


def headline(run: RunData) -> Html:
    """Name, description, the facts in one row, and a card of scores for each part of the data."""
    description = run.config.get("description")
    return el(
        "header",
        el("p", "spago_jax run report", class_="kicker"),
        el("h1", run.config.get("name") or run.folder),
        el("p", description, class_="lead") if description else None,
        _facts(run),
        _cards(run),
    )


def _facts(run: RunData) -> Html:
    facts: list[tuple[str, str]] = []
    trainable = sum(finite(row.get("count")) or 0 for row in run.parameters if row.get("role") != "buffer")
    if trainable:
        facts.append(("parameters", count(trainable)))
    steps = max((record["step"] for record in (*run.metrics, *run.timings)), default=None)
    if steps is not None:
        facts.append(("steps", count(steps)))
    epochs = [e for r in run.timings if (e := finite(r.get("epoch"))) is not None]
    if epochs:
        facts.append(("epochs", count(max(epochs))))
    if run.best_step is not None:
        facts.append(("best step", count(run.best_step)))
    if run.timings:
        facts.append(("time", seconds_text(spent(run.timings))))
    machine = run.about.get("machine")
    if isinstance(machine, dict) and machine.get("devices"):
        facts.append(("devices", str(machine["devices"])))
    if "seed" in run.config:
        facts.append(("seed", str(run.config["seed"])))
    return el("dl", [el("div", el("dt", name), el("dd", value)) for name, value in facts], class_="facts")


def _cards(run: RunData) -> Html:
    metric = run.scores.get("metric") or {}
    if run.finished:
        scores, baselines = run.scores["scores"], run.scores.get("baselines") or {}
        cards = [_card(split, scores[split], baselines.get(split) or {}, metric) for split in run.splits(scores)]
        return el("div", cards, class_="cards")
    banner = el("p", f"{_why(run)} What it wrote so far is below.", class_="banner")
    last = run.records("dev")[-1:]
    cards = [
        _card(
            f"dev, step {count(r['step'])}", {k: v for k, v in r.items() if k not in ("step", "kind", "epoch")}, {}, {}
        )
        for r in last
    ]
    return join(banner, el("div", cards, class_="cards") if cards else None)


def _why(run: RunData) -> str:
    """Why there are no final scores."""
    state, error = run.state.get("state"), str(run.state.get("error") or "").rstrip(".")
    if state == "failed":
        return f"This run failed: {error}. There are no final scores."
    if state == "interrupted":
        return f"This run was {error or 'interrupted'}. There are no final scores."
    return "This run has not ended: there are no final scores."


def _card(split: str, scores: Mapping[str, Any], baseline: Mapping[str, Any], metric: Mapping[str, Any]) -> Html:
    chosen = metric.get("name")
    chosen = chosen if chosen in scores else next(iter(scores), None)
    rows = []
    for name in scores:
        cells = [el("th", title(name), scope="row"), el("td", score(scores[name]))]
        if baseline:
            cells.append(el("td", score(baseline[name]) if name in baseline else "", class_="base"))
        rows.append(el("tr", cells))
    head = el("tr", el("th"), el("th", "model", scope="col"), el("th", "baseline", scope="col")) if baseline else None
    return el(
        "article",
        el("h2", split),
        _figure(str(chosen), scores, baseline) if chosen is not None else None,
        el("table", el("thead", head) if head else None, el("tbody", rows)),
        class_="card",
    )


def _figure(name: str, scores: Mapping[str, Any], baseline: Mapping[str, Any]) -> Html:
    """The score that picked the checkpoint, large, and how far it is from the baseline's."""
    value, simple = finite(scores[name]), finite(baseline.get(name))
    beside = None
    if value is not None and simple is not None:
        beside = el("span", f"baseline {score(simple)} ({value - simple:+.4f})", class_="base")
    return el(
        "p",
        el("span", score(scores[name]), class_="big"),
        el("span", title(name), class_="of"),
        beside,
        class_="figure",
    )
