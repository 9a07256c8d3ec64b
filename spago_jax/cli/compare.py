# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax compare`: several runs in one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError

if TYPE_CHECKING:
    from spago_jax.report.compare import RunSummary


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders.", show_default=False)],
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The page.")] = Path("compare.html"),
) -> None:
    """Draws runs over each other in one page: curves, scores, settings that differ, size and speed."""
    from spago_jax.core.disk import replace_file
    from spago_jax.report.compare import comparison, read_summary
    from spago_jax.report.compare.page import notes, run_letters

    if len(runs) < 2:
        raise InputError(f"compare needs two runs or more, got {len(runs)}: spago-jax compare RUN RUN")
    twice = [run for i, run in enumerate(runs) if run.resolve() in {other.resolve() for other in runs[:i]}]
    if twice:
        raise InputError(f"{twice[0]} is given twice")
    found = [read_summary(run) for run in runs]
    for run in found:
        if run.state == "broken":
            raise InputError(f"{run.path} is broken: {run.reason}")
    if out.is_dir():
        raise InputError("is a folder; give a file to write", path=out)
    if not out.parent.is_dir():
        raise InputError(f"cannot write {out}: the folder {out.parent} does not exist")
    page = comparison(found)
    replace_file(out, page)
    labels = run_letters(len(found))
    for label, run in zip(labels, found, strict=True):
        print(f"{label}: {run.path}")
    print(comparison_table(found, labels))
    for remark in notes(found, labels):
        print(remark)
    print(f"page: {out}")


def comparison_table(found: "Sequence[RunSummary]", labels: Sequence[str]) -> str:
    """A line for each score, size and setting that differs; a column for each run."""
    from spago_jax.core.show import score, seconds_text, text_table
    from spago_jax.report.compare.differences import differing, setting

    lines = [
        ["model", *(run.task for run in found)],
        ["state", *(run.state for run in found)],
    ]
    for split in ("dev", "test"):
        for name in dict.fromkeys(name for run in found for name in getattr(run, split)):
            values = (getattr(run, split).get(name) for run in found)
            lines.append([f"{split} {name}", *("-" if value is None else score(value) for value in values)])
    lines += [
        ["parameters", *(f"{run.parameters:,}" for run in found)],
        ["epochs", *(str(run.epochs) for run in found)],
        ["steps", *(f"{run.steps:,}" for run in found)],
        ["time", *(seconds_text(run.seconds) for run in found)],
        ["speed", *(f"{run.rate:,.0f} {run.unit}/s" if run.rate else "-" for run in found)],
    ]
    for key in differing([run.config for run in found]):
        lines.append([key, *(setting(run.config[key]) if key in run.config else "-" for run in found)])
    return text_table(["", *labels], lines)
