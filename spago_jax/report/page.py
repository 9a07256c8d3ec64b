# SPDX-License-Identifier: BSD-2-Clause
"""The whole page."""

import base64
import functools
import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from spago_jax.drawing.colours import page_variables
from spago_jax.drawing.html import Html, el, join, text
from spago_jax.errors import InputError
from spago_jax.report.curves import curves_section
from spago_jax.report.headline import headline
from spago_jax.report.inventory import about_section, config_section, parameters_section, programs_section
from spago_jax.report.labels import confusion_map, label_table
from spago_jax.report.samples import samples_section
from spago_jax.report.source import RunData, read_run
from spago_jax.report.throughput import throughput_section
from spago_jax.report.watched import watched_section
from spago_jax.train.run_folder import RunFolder


def write_report(run: RunFolder) -> Path:
    """Writes ``report.html`` into a run folder, from the files that are there; an interrupted run has fewer.

    The page needs no network and no other file; what comes from the data is escaped, and its content security
    policy lets no script run but its own.

    Args:
        run: the folder.

    Returns:
        The path of the page.

    Raises:
        OSError: when it cannot be written.
    """
    run.write("report.html", render(read_run(run)))
    return run / "report.html"


def render(run: RunData) -> str:
    """The page as text."""
    sections = [
        ("Curves", "curves", _guard(lambda: curves_section(run))),
        ("Watched", "watched", _guard(lambda: watched_section(run))),
        ("Labels", "labels", _by_split(run, _labels)),
        ("Samples", "samples", _by_split(run, _samples)),
        ("Speed", "speed", _guard(lambda: throughput_section(run))),
        ("Parameters", "parameters", _guard(lambda: parameters_section(run.parameters))),
        ("Programs", "programs", _guard(lambda: programs_section(run.programs))),
        ("Config", "config", _guard(lambda: config_section(run))),
        ("How it was made", "about", _guard(lambda: about_section(run))),
    ]
    present = [section for section in sections if section[2]]
    menu = el("nav", [el("a", name, href=f"#{key}") for name, key, _ in present])
    body = join(
        _guard(lambda: headline(run)),
        menu,
        [el("section", el("h2", name), content, id=key) for name, key, content in present],
        el("footer", el("p", f"Not in the folder when this page was made: {', '.join(run.missing)}."))
        if run.missing
        else None,
    )
    return document(str(run.config.get("name") or run.folder), body)


def document(name: str, body: Html) -> str:
    """A page of its own: the style, the script and no other file. The title is escaped, the body is markup."""
    style = page_variables() + _asset("page.css")
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(name)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<main>{body}</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


@functools.cache
def _asset(name: str) -> str:
    return files("spago_jax.report").joinpath(name).read_text("utf-8")


def _guard(make: Callable[[], Html]) -> Html:
    """A section, or a line that says why there is none: a file that was edited must not cost the whole report."""
    try:
        return make()
    except (AttributeError, IndexError, InputError, KeyError, TypeError, ValueError) as error:
        return el("p", f"This part could not be drawn: {type(error).__name__}: {error}", class_="banner")


def _by_split(run: RunData, draw: Callable[[dict[str, Any]], Html]) -> Html:
    """One fold a part of the data; the first is open."""
    parts = []
    for split in run.splits(run.details):
        details = run.details[split]
        content = _guard(lambda d=details: draw(d)) if isinstance(details, dict) else Html()
        if content:
            parts.append((split, content))
    return join(
        el("details", el("summary", split), content, class_="split", open=i == 0)
        for i, (split, content) in enumerate(parts)
    )


def _labels(details: dict[str, Any]) -> Html:
    rows, confusions = details.get("labels"), details.get("confusions") or {}
    labels, matrix = confusions.get("labels"), confusions.get("matrix")
    return join(
        join(el("h3", "Scores by label"), label_table(rows)) if rows else None,
        join(el("h3", "Confusions"), confusion_map(labels, matrix)) if labels and matrix else None,
    )


def _samples(details: dict[str, Any]) -> Html:
    rows = sorted(details.get("labels") or (), key=lambda row: -(row.get("gold") or 0))
    return samples_section(details.get("samples") or (), [str(row["label"]) for row in rows])
