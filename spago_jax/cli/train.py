# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax train`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError


@app.command()
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML experiment.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings such as train.epochs=3.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; runs/NAME by default.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete the run that is there.")] = False,
    device: Annotated[
        str | None, typer.Option(metavar="KIND", help="cpu, gpu or tpu, as train.device; the fastest by default.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Draw the curves as the run goes (on a terminal).")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the final scores only.")] = False,
) -> None:
    """Trains an experiment: writes a run folder with checkpoints, metrics and a report."""
    from spago_jax.core.devices import ask_for_cpu_devices, devices_per_process
    from spago_jax.tasks.experiment import load_experiment

    if resume and overwrite:
        raise InputError("--resume goes on with the run that is there and --overwrite deletes it; choose one")
    chosen = [] if device is None else [f"train.device={device}"]
    experiment = load_experiment(config, [*(overrides or ()), *chosen])
    folder = out or Path("runs") / experiment.name
    mesh = experiment.train.mesh
    from spago_jax.train.together import join_processes, planned_processes

    distributed = experiment.train.distributed
    sizes = None if mesh is None else mesh.sizes()
    ask_for_cpu_devices(devices_per_process(experiment.train.devices, sizes, planned_processes(distributed)))
    join_processes(distributed)

    from spago_jax.cli.tables import scores_table
    from spago_jax.train.console import TrainingConsole
    from spago_jax.train.loop import fit
    from spago_jax.train.watch.live import LiveConsole

    command = shlex.join(["spago-jax", *sys.argv[1:]])
    result = fit(
        experiment,
        folder,
        resume=resume,
        overwrite=overwrite,
        command=command,
        console=LiveConsole(quiet=quiet) if live else TrainingConsole(quiet=quiet),
    )
    if not result.run.writes:  # another process says it
        return
    print(scores_table(result.scores, result.baselines))
    print(f"best checkpoint: step {result.best_step}")
    print(f"run folder:      {folder}")
    print(f"report:          {folder / 'report.html'}")
