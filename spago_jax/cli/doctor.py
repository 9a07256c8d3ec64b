# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax doctor`."""

from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def doctor(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG", help="A YAML experiment; the machine by default.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings such as train.batch_size=16.")
    ] = None,
    peaks: Annotated[bool, typer.Option(help="Measure what the machine can do at most (a few seconds).")] = True,
) -> None:
    """Shows devices, threads, processor flags, cache and measured peaks; says what is slow here and why.

    With a config, it reads the data instead, and says what of the settings does not suit them, without training.
    """
    if config is not None:
        from spago_jax.tasks.doctor_data import examine_data
        from spago_jax.tasks.experiment import load_experiment

        lines = examine_data(load_experiment(config, overrides or ()))
    else:
        from spago_jax.tasks.doctor import examine

        lines = examine(peaks=peaks)
    for line in lines:
        print(line)
