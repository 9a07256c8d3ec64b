# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax inspect`."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app


@app.command()
def inspect(
    what: Annotated[Path, typer.Argument(metavar="CONFIG|RUN", help="A YAML experiment or a run folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE")] = None,
    programs: Annotated[bool, typer.Option(help="Compile the programs and show their cost.")] = True,
    topology: Annotated[
        str | None,
        typer.Option(metavar="CHIP:SHAPE", help="Compile for TPUs that are not there, such as v5e:4x4, instead."),
    ] = None,
) -> None:
    """Shows the resolved config, the table of parameters, and the programs with their cost.

    With --topology it shows what a step of training and one of prediction take on each device of a slice of TPUs that
    share the batches, and the least time that they need by the chip's published peaks. Nothing is run.
    """
    if topology is not None:
        _stay_on_the_cpu(topology)
    from spago_jax.tasks.experiment import load_experiment, run_experiment
    from spago_jax.tasks.inspect import describe, describe_on
    from spago_jax.train.run_folder import RunFolder

    if what.is_dir():
        experiment = run_experiment(RunFolder.open(what), overrides or ())
    else:
        experiment = load_experiment(what, overrides or ())
    parts = describe(experiment, programs=programs) if topology is None else describe_on(experiment, topology)
    for part in parts:
        print(part)


def _stay_on_the_cpu(topology: str) -> None:
    """Keeps JAX from a vain search for a TPU, which takes it half a minute, unless the user has said where it runs.

    Raises:
        InputError: for a topology that is none.
    """
    import jax

    from spago_jax.compiler.topology import chip_of

    chip_of(topology)
    if not jax.config.jax_platforms:  # pyright: ignore[reportAttributeAccessIssue]
        with suppress(RuntimeError):  # it has started already
            jax.config.update("jax_platforms", "cpu")
    # libtpu complains of a machine that says neither; what it compiles for is the topology.
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    # It lets one process at a time have the TPUs of a machine; nothing here touches one.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
