# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax inspect`."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from spago_jax.cli.app import app
from spago_jax.errors import InputError, did_you_mean


@app.command()
def inspect(
    what: Annotated[Path, typer.Argument(metavar="CONFIG|RUN", help="A YAML experiment or a run folder.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE")] = None,
    programs: Annotated[bool, typer.Option(help="Compile the programs and show their cost.")] = True,
    topology: Annotated[
        str | None,
        typer.Option(metavar="CHIP:SHAPE", help="Compile for TPUs that are not there, such as v5e:4x4, instead."),
    ] = None,
    mesh: Annotated[
        list[str] | None,
        typer.Option(metavar="DATAxMODEL", help="With --topology: compare these meshes; give it again for each."),
    ] = None,
    sharding: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="With --mesh: compare these train.sharding; give it again for each."),
    ] = None,
) -> None:
    """Shows the resolved config, the table of parameters, and the programs with their cost.

    With --topology it shows what a step of training and one of prediction take on each device of a slice of TPUs that
    share the batches, and the least time that they need by the chip's published peaks. Nothing is run. With
    --mesh 16x1 --mesh 8x2, it is a table of a step of training on each of these rectangles of devices.
    """
    meshes = [_mesh(text) for text in mesh or ()]
    if ((mesh or sharding) and topology is None) or (sharding and not mesh):
        raise InputError("--mesh compares rectangles of the devices of a --topology, --sharding what lies on them")
    if topology is not None:
        _stay_on_the_cpu(topology)
    from spago_jax.tasks.experiment import load_experiment, run_experiment
    from spago_jax.tasks.inspect import compare_meshes, describe, describe_on
    from spago_jax.train.run_folder import RunFolder
    from spago_jax.train.schema import SHARDINGS

    if what.is_dir():
        experiment = run_experiment(RunFolder.open(what), overrides or ())
    else:
        experiment = load_experiment(what, overrides or ())
    if topology is None:
        parts = describe(experiment, programs=programs)
    elif meshes:
        for kind in sharding or ():
            if kind not in SHARDINGS:
                raise InputError(f"--sharding {kind!r}: {did_you_mean(kind, SHARDINGS)}")
        parts = compare_meshes(experiment, topology, meshes, sharding or [experiment.train.sharding])
    else:
        parts = describe_on(experiment, topology)
    for part in parts:
        print(part)


def _mesh(text: str) -> dict[str, int]:
    """Reads ``8x2``: 8 parts of each batch, 2 of the model.

    >>> _mesh("8x2")
    {'data': 8, 'model': 2}
    """
    found = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text)
    if found is None:
        raise InputError(f"--mesh {text!r}: expected the sizes of the axes data and model, as in 8x2")
    return {"data": int(found[1]), "model": int(found[2])}


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
