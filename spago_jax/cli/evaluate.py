# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax evaluate`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    data: Annotated[str | None, typer.Option(help="A file to score on; dev and test of the config by default.")] = None,
    step: Annotated[int | None, typer.Option(help="A checkpoint; the best one by default.")] = None,
    mistakes: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write every mistake there, with the example.")
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Show the scores of each label and the confusions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Scores a trained run on a file, or on its own dev and test data."""
    from spago_jax.cli.tables import label_scores, scores_table
    from spago_jax.tasks.evaluate import evaluate_run
    from spago_jax.train.task import Scores

    scores = evaluate_run(run, data=data, step=step, mistakes=mistakes, say=lambda line: print(line, file=sys.stderr))
    if as_json:
        print(json.dumps({name: score.values for name, score in scores.items()}, indent=1))
        return
    baselines = {split: found.details["baseline"] for split, found in scores.items() if "baseline" in found.details}
    print(scores_table(scores, {split: Scores(values) for split, values in baselines.items()}))
    if labels:
        for split, found in scores.items():
            print(f"\n{split}\n{label_scores(found)}")
