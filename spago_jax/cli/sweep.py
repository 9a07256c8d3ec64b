# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax sweep`: one experiment with many settings."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spago_jax.cli.app import app

if TYPE_CHECKING:
    from spago_jax.sweep import SweepResult


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="A YAML sweep.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Settings of the sweep (jobs=2) or of every trial (train.epochs=3)."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The sweep's folder; runs/NAME by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep that is there.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the final table only.")] = False,
) -> None:
    """Trains one experiment with many settings: a grid, settings drawn by chance, or successive halving.

    Each trial is a run folder. A sweep that was stopped or killed goes on by --resume, and ends with the same table.
    """
    from spago_jax.core.devices import ask_for_cpu_devices
    from spago_jax.sweep.checks import base_experiment
    from spago_jax.sweep.source import load_sweep

    found = load_sweep(file, overrides or ())
    ask_for_cpu_devices(base_experiment(found).train.devices)
    folder = out or Path("runs") / found.sweep.name

    from spago_jax.sweep.runner import run_sweep

    def say(line: str) -> None:
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    result = run_sweep(found, folder, resume=resume, say=say)
    print(sweep_table(result))
    for record in result.best_first():
        if record["state"] == "failed":
            print(f"{record['folder']} failed: {record['reason']}")
    print(f"folder: {folder}")
    print(f"report: {folder / 'report.html'}")


def sweep_table(result: "SweepResult") -> str:
    """The trials, the best first, with what does not change from one time to the next: no times."""
    from spago_jax.core.show import score, text_table
    from spago_jax.report.compare.differences import setting
    from spago_jax.sweep.folder import label

    metric = result.metric.name
    rows = []
    for place, record in enumerate(result.best_first(), start=1):
        whole = record["state"] == "finished"
        test = record["scores"].get("test", {}).get(metric) if whole else None
        rows.append([
            str(place) if whole else "-",
            label(record),
            *(setting(record["settings"][key]) for key in result.keys),
            score(record["score"]) if whole else "failed",
            "-" if test is None else score(test),
            str(record["epochs"]) if whole else "-",
            f"{record['parameters']:,}" if whole else "-",
        ])  # fmt: skip
    heads = ["", "trial", *result.keys, f"dev {metric}", f"test {metric}", "epochs", "parameters"]
    return text_table(heads, rows, align="r")
