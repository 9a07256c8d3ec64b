# SPDX-License-Identifier: BSD-2-Clause
"""Describes an experiment before it runs: config, parameters, programs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec

from spago_jax.compiler.topology import Estimate, chip_of, described_devices
from spago_jax.core import Precision, summary
from spago_jax.core.devices import Devices
from spago_jax.core.paths import map_named
from spago_jax.core.show import amount
from spago_jax.core.target import traced_for
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.models.execution import Execution, execution
from spago_jax.train.config import dump
from spago_jax.train.programs import Programs
from spago_jax.train.schema import Experiment, MeshConfig
from spago_jax.train.start import prepare
from spago_jax.train.task import Task


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
    """What one step takes on TPUs that are not there, compiled for them without one: the longest of each part.

    The devices share batches, or lie as ``train.mesh`` says, with arrays as ``train.sharding`` says.

    Args:
        experiment: the experiment; its batches must split over the devices.
        topology: a chip and the shape of a slice, such as ``v5e:4x4``.

    Raises:
        InputError: for a topology that is unknown, without libtpu, and for batches that do not split.
    """
    found = described_devices(topology)  # before the data are read
    task, _ = prepare(_quiet(experiment, found))
    plan = _Plan(task, topology, found)
    yield f"{topology}: {len(found)} x {found[0].device_kind}"
    block = plan.longest("train")
    yield f"a step of training: {_shapes(block)}"
    yield plan.training(block).text()
    if plan.programs.evaluated():
        block = plan.longest(plan.programs.evaluated()[0])
        yield f"a step of prediction: {_shapes(block)}"
        yield plan.prediction(block).text()


def compare_meshes(
    experiment: Experiment, topology: str, meshes: Sequence[Mapping[str, int]], shardings: Sequence[Any]
) -> Iterator[str]:
    """A table of what a step of training takes on each device of a slice, for each mesh with each sharding.

    Args:
        experiment: the experiment; its batches must split over each mesh.
        topology: a chip and the shape of a slice, such as ``v5e:4x4``.
        meshes: the sizes of the axes ``data`` and ``model``.
        shardings: as ``train.sharding``.

    Raises:
        InputError: for a mesh that the slice does not have, before anything is compiled.
    """
    found = described_devices(topology)
    choices = []
    for mesh in meshes:
        for sharding in shardings:
            changes = {"mesh": MeshConfig.model_validate(mesh), "sharding": sharding}
            train = experiment.train.model_copy(update=changes)
            choices.append(_quiet(experiment.model_copy(update={"train": train}), found))
    task, _ = prepare(choices[0])
    yield f"{topology}: {len(found)} x {found[0].device_kind}, {amount(chip_of(topology).memory, 'B')} each"
    titles = ("mesh", "sharding", "memory", "FLOP", "moved", "sent", "bound", "step at least")
    yield "| " + " | ".join(titles) + " |\n|" + "---|" * len(titles)
    for choice in choices:
        task.experiment = choice
        plan = _Plan(task, topology, found)
        devices, sharding = plan.devices, choice.train.sharding
        cells = (
            f"{devices.data} x {devices.size // devices.data}",
            sharding if isinstance(sharding, str) else "by patterns",
        )
        try:
            found_here = plan.training(plan.longest("train"))
        except NoRoom:  # a row that shows it is worth more than a table without the others
            yield "| " + " | ".join((*cells, "too much", *"-" * (len(titles) - 3))) + " |"
            continue
        cost = found_here.cost
        cells = (
            *cells,
            amount(cost.peak_bytes, "B") + ("" if found_here.fits else ", too much"),
            amount(cost.flops, ""),
            amount(cost.bytes_accessed, "B"),
            amount(found_here.sent, "B"),
            found_here.bound,
            amount(found_here.seconds[found_here.bound], "s"),
        )
        yield "| " + " | ".join(map(str, cells)) + " |"


def _quiet(experiment: Experiment, devices: Sequence[Any]) -> Experiment:
    """Returns the experiment without what a plan leaves out, once it is known that its batches split.

    Raises:
        InputError: where they do not, or there is no such mesh.
    """
    train = experiment.train.model_copy(update={"watch": None})
    there = Devices.shaped(devices, None if train.mesh is None else train.mesh.sizes())
    there.check_divides(train.batch_size, "train.batch_size")
    there.check_divides(train.eval_batch_size, "train.eval_batch_size")
    experiment = experiment.model_copy(update={"train": train})
    experiment.task_class.check(experiment)
    return experiment


@contextmanager
def _for_tpu() -> Iterator[None]:
    """Traces for a TPU, with every layer written out: of a loop XLA would count one pass."""
    with traced_for("tpu"), execution(Execution(layers="unroll")):
        yield


class NoRoom(InputError):
    """A program needs more memory than a device has."""


def _compiled(lowered: Any, topology: str) -> Any:
    """Compiles, and says what to do where the compiler finds no room.

    Raises:
        NoRoom: where the program does not fit the memory of a device.
    """
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        said = next(line for line in str(error).splitlines() if "RESOURCE_EXHAUSTED" in line)
        raise NoRoom(
            f"{topology}: the program does not fit the memory of a device ({said.split('RESOURCE_EXHAUSTED: ')[-1]}); "
            "more devices, train.remat: full, train.sharding: fsdp or a smaller train.batch_size make it smaller"
        ) from None


class _Plan:
    """The programs of an experiment for devices that are described rather than there."""

    def __init__(self, task: Task, topology: str, described: Sequence[Any]):
        self.task, self.topology, self.config = task, topology, task.experiment.train
        self.devices = Devices.shaped(described, None if self.config.mesh is None else self.config.mesh.sizes())
        task.data_parts = self.devices.data
        with _for_tpu():
            self.programs = Programs(task, self.devices, Precision.parse(self.config.precision), shapes_only=True)

    def longest(self, split: str) -> dict[str, np.ndarray]:
        """The arrays of one step, of those that a call takes, with the longest examples of a part."""
        blocks = self.task.batches(split, training=split == "train").epoch(0)
        block = max(blocks, key=lambda block: block.length)
        arrays = self.programs.train_arrays(block) if split == "train" else self.programs.padded(split, block)
        return {name: array[:1] for name, array in arrays.items()}

    def training(self, block: dict[str, np.ndarray]) -> Estimate:
        """What a step of training takes."""
        state = self._shaped(self.programs.state, self._kept)
        count = self._shaped(np.int32(1), self._kept)
        with _for_tpu():
            lowered = self.programs.train.lowered(state, self._shaped(block, self._split(1)), count)
        return Estimate.of(_compiled(lowered, self.topology), self.topology, self.devices.size)

    def prediction(self, block: dict[str, np.ndarray]) -> Estimate:
        """What a step of prediction takes."""
        carry = self._shaped(self.task.objective.initial_carry(self.config.eval_batch_size), self._split(0))
        model = self._shaped(self.programs.state.model_for_evaluation(), self._kept)
        with _for_tpu():
            lowered = self.programs.evaluation.lowered(model, self._shaped(block, self._split(1)), carry)
        return Estimate.of(_compiled(lowered, self.topology), self.topology, self.devices.size)

    def _shaped(self, tree: PyTree, where: PyTree) -> Any:
        return map_named(
            lambda path, a: jax.ShapeDtypeStruct(np.shape(a), a.dtype, sharding=where(path, np.shape(a))), tree
        )

    def _kept(self, path: str, shape: Any) -> Any:
        layout = self.programs.layout
        return self.devices.sharding(PartitionSpec()) if layout is None else layout.where(path, shape)

    def _split(self, axis: int) -> Any:
        return lambda path, shape: self.devices.sharding(self.devices.along(axis))


def _shapes(block: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {list(array.shape[1:])}" for name, array in block.items())
