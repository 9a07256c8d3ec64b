# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    data: Annotated[str | None, typer.Option(help="A file to score on; dev and test of the config by default.")] = None,
    step: Annotated[int | None, typer.Option(help="A checkpoint; the best one by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Scores a trained run on a file, or on its own dev and test data."""
    from spago_jax.cli.tables import scores_table
    from spago_jax.tasks.evaluate import evaluate_run

    scores = evaluate_run(run, data=data, step=step)
    if as_json:
        print(json.dumps({name: score.values for name, score in scores.items()}, indent=1))
    else:
        print(scores_table(scores, {}))
