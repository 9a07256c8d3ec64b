# SPDX-License-Identifier: BSD-2-Clause
"""Describes an experiment before it runs: config, parameters, programs."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec

from spago_jax.compiler.topology import described, described_devices
from spago_jax.core import Precision, summary
from spago_jax.core.devices import Devices
from spago_jax.core.paths import map_named
from spago_jax.train.config import dump
from spago_jax.train.programs import Programs
from spago_jax.train.schema import Experiment
from spago_jax.train.start import prepare


def describe(experiment: Experiment, *, programs: bool = True) -> Iterator[str]:
    """The resolved config, the table of parameters, the batches, and the cost of each program, as text."""
    yield "# config\n" + dump(experiment)
    experiment.task_class.check(experiment)
    task, weights = prepare(experiment)
    yield "# parameters\n" + summary(jax.eval_shape(task.objective.init, jax.random.key(experiment.seed))) + "\n"
    yield "# batches"
    for split in task.splits():
        yield f"{split}: {task.batches(split, training=split == 'train')!r}"
    if not programs:
        return
    built = Programs(task, Devices.of(1), Precision.parse(experiment.train.precision), weights=weights)
    built.warm_up(built.state)
    yield "\n# programs"
    for program in built.all():
        yield str(program.report(roofline=False))


def describe_on(experiment: Experiment, topology: str) -> Iterator[str]:
    """What one step takes on TPUs that share the batches, compiled for them without one: the longest of each part.

    Args:
        experiment: the experiment; its batches must split over the devices.
        topology: a chip and the shape of a slice, such as ``v5e:4x4``.

    Raises:
        InputError: for a topology that is unknown, without libtpu, and for batches that do not split.
    """
    found = described_devices(topology)  # before the data are read
    mesh = experiment.train.mesh
    devices = Devices.shaped(found, None if mesh is None else mesh.sizes())
    quiet = experiment.train.model_copy(update={"watch": None})
    experiment = experiment.model_copy(update={"train": quiet})
    devices.check_divides(quiet.batch_size, "train.batch_size")
    devices.check_divides(quiet.eval_batch_size, "train.eval_batch_size")
    experiment.task_class.check(experiment)
    task, weights = prepare(experiment)
    task.data_parts = devices.data
    programs = Programs(task, devices, Precision.parse(quiet.precision), weights=weights)

    def shaped(tree: Any, where: Any) -> Any:
        return map_named(
            lambda path, a: jax.ShapeDtypeStruct(np.shape(a), a.dtype, sharding=where(path, np.shape(a))), tree
        )

    def kept(path: str, shape: Any) -> Any:
        return devices.sharding(PartitionSpec()) if programs.layout is None else programs.layout.where(path, shape)

    def split(axis: int) -> Any:
        return lambda path, shape: devices.sharding(devices.along(axis))

    def longest(split: str) -> Any:
        block = max(task.batches(split, training=split == "train").epoch(0), key=lambda block: block.length)
        arrays = programs.train_arrays(block) if split == "train" else programs.padded(split, block)
        return {name: array[:1] for name, array in arrays.items()}  # one step of those that a call takes

    state = shaped(programs.state, kept)
    block = longest("train")
    yield f"{topology}: {len(found)} x {found[0].device_kind}"
    yield f"a step of training: {_shapes(block)}"
    compiled = programs.train.lowered(state, shaped(block, split(1)), shaped(np.int32(1), kept)).compile()
    yield described(compiled, topology, len(found))
    if not programs.evaluated():
        return
    block = longest(programs.evaluated()[0])
    carry = shaped(task.objective.initial_carry(quiet.eval_batch_size), split(0))
    yield f"a step of prediction: {_shapes(block)}"
    model = shaped(programs.state.model_for_evaluation(), kept)
    compiled = programs.evaluation.lowered(model, shaped(block, split(1)), carry).compile()
    yield described(compiled, topology, len(found))


def _shapes(block: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {list(array.shape[1:])}" for name, array in block.items())
