# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def inspect(
    what: Annotated[Path, typer.Argument(metavar="CONFIG|RUN", help="A YAML experiment or a run folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE")] = None,
    programs: Annotated[bool, typer.Option(help="Compile the programs and show their cost.")] = True,
) -> None:
    """Shows the resolved config, the table of parameters, and the programs with their cost."""
    from spago_jax.tasks.experiment import load_experiment, run_experiment
    from spago_jax.tasks.inspect import describe
    from spago_jax.train.run_folder import RunFolder

    if what.is_dir():
        experiment = run_experiment(RunFolder.open(what), overrides or ())
    else:
        experiment = load_experiment(what, overrides or ())
    for part in describe(experiment, programs=programs):
        print(part)
