# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax runs`: what was trained, in a table."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from spago_jax.report.compare import RunSummary


@app.command()
def runs(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER", help="Where to look, at any depth; runs by default.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="SCORE", help="Best first by a score: f1 or dev.f1, test.f1, ...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Lists runs: state, size, scores of the best checkpoint, and the settings that differ between them.

    States: finished; running; interrupted (by Ctrl-C); failed, with the error; unfinished (killed); broken, with the
    reason.
    """
    from spago_jax.report.compare import find_runs, read_summary

    found = sorted((read_summary(path) for path in find_runs(folders or ["runs"])), key=lambda run: run.started or 0.0)
    if sort is not None:
        found = _sorted(found, sort)
    if as_json:
        print(json.dumps(_records(found), indent=1, ensure_ascii=False))
    elif not found:
        print(f"no runs in {', '.join(map(str, folders or ['runs']))}")
    else:
        print(runs_table(found))
        for run in found:
            if run.state in ("broken", "failed"):
                print(f"{run.path} {'is broken' if run.state == 'broken' else 'failed'}: {run.reason}")


def runs_table(found: "Sequence[RunSummary]") -> str:
    """The table of runs; a score column has the score's name in its heading where it is the same for all."""
    from spago_jax.core.show import seconds_text, text_table
    from spago_jax.report.compare.differences import differing, setting
    from spago_jax.report.compare.page import of_asked

    whole = [run for run in found if run.state != "broken"]
    names = {run.metric.name for run in whole if run.metric}
    (name,) = names if len(names) == 1 else ("score",)
    keys = differing([run.config for run in whole])
    heads = ["run", "model", "state", "epochs", "steps", "parameters", f"dev {name}", f"test {name}", "time", "started"]
    rows = []
    for run in found:
        started = "" if run.started is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
        if run.state == "broken":
            rows.append([str(run.path), "", "broken", *[""] * 6, started, *[""] * len(keys)])
            continue
        rows.append([
            str(run.path),
            run.task,
            run.state,
            of_asked(run.epochs, run.epochs_asked),
            of_asked(run.steps, run.steps_asked),
            f"{run.parameters:,}",
            _score(run, "dev", named=len(names) > 1),
            _score(run, "test", named=len(names) > 1),
            seconds_text(run.seconds),
            started,
            *(setting(run.config[key]) if key in run.config else "-" for key in keys),
        ])  # fmt: skip
    return text_table([*heads, *keys], rows, align="lllr")


def _score(run: "RunSummary", split: str, *, named: bool) -> str:
    from spago_jax.core.show import score

    value = getattr(run, split).get(run.metric.name) if run.metric else None
    if value is None or run.metric is None:
        return "-"
    return f"{run.metric.name} {score(value)}" if named else score(value)


def _sorted(found: "Sequence[RunSummary]", wanted: str) -> "list[RunSummary]":
    """Best first; runs that have no such score come last."""
    split, dot, name = wanted.rpartition(".")
    split = split if dot else "dev"
    known = {name for run in found for name in getattr(run, split, {})} if split in ("dev", "test") else set()
    if name not in known:
        every = {n for run in found for n in run.dev} | {f"{s}.{n}" for run in found for s in ("dev", "test")
                                                         for n in getattr(run, s)}  # fmt: skip
        raise InputError(f"--sort {wanted}: no run has this score: {did_you_mean(wanted, every)}")

    def place(run: "RunSummary") -> tuple[bool, float]:
        value = getattr(run, split).get(name)
        if value is None:
            return True, 0.0
        return False, -value if run.mode(name) == "max" else value

    return sorted(found, key=place)


def _records(found: "Sequence[RunSummary]") -> list[dict[str, Any]]:
    from spago_jax.report.compare.differences import differing

    keys = differing([run.config for run in found if run.state != "broken"])
    return [
        {
            "run": str(run.path),
            "model": run.task or None,
            "state": run.state,
            "reason": run.reason or None,
            "epochs": run.epochs,
            "epochs_asked": run.epochs_asked,
            "steps": run.steps,
            "steps_asked": run.steps_asked,
            "parameters": run.parameters,
            "metric": run.metric.name if run.metric else None,
            "dev": run.dev,
            "test": run.test,
            "seconds": round(run.seconds, 3),
            "started": run.started,
            "differs": {key: run.config.get(key) for key in keys} if run.config else {},
        }
        for run in found
    ]
