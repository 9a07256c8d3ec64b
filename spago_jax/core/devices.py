# SPDX-License-Identifier: BSD-2-Clause
"""Devices that share the work: a mesh of the axes ``data``, over which examples are split, and ``model``."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError

AXIS, MODEL = "data", "model"
Tree = TypeVar("Tree")


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices of one run, those of all its processes; make them with ``Devices.of``.

    Attributes:
        mesh: with the axes ``data`` and ``model``, in this order.

    >>> devices = Devices.of(1)
    >>> devices.size, devices.replicate({"x": np.ones(2)})
    (1, {'x': Array([1., 1.], dtype=float32)})
    """

    mesh: Mesh

    @classmethod
    def of(cls, count: int | str = 1, kind: str | None = None, shape: Mapping[str, int] | None = None) -> "Devices":
        """The first ``count`` devices of each process, or ``"all"`` of them.

        Args:
            count: how many of each process.
            kind: ``cpu``, ``gpu`` or ``tpu``; by default JAX's own choice.
            shape: the sizes of the axes of the mesh, one of which may be -1: as many as there are devices for. It
                decides how many devices there are, where ``count`` is 1 or ``"all"``. None: all devices share batches.

        Raises:
            InputError: if there are fewer devices, saying how to get more on a CPU; if there is none of that kind; for
                a shape that the devices do not have.
        """
        try:
            devices = jax.local_devices(backend=kind)
        except RuntimeError:  # JAX knows no such backend here
            there = ", ".join(sorted({device.platform for device in jax.local_devices()} | {"cpu"}))
            raise InputError(
                f"train.device = {kind!r}: JAX finds no {kind.upper() if kind else ''} here; there are: {there}"
            ) from None
        processes = jax.process_count()
        wanted = devices_per_process(count, shape, processes)
        wanted = len(devices) if wanted is None else wanted
        if wanted > len(devices):
            hint = f"; on a CPU, set XLA_FLAGS=--xla_force_host_platform_device_count={wanted}"
            raise InputError(
                f"{wanted} devices were asked for, and there are {len(devices)} ({devices[0].platform}){hint}"
            )
        if processes == 1:
            return cls.shaped(devices[:wanted], shape)
        of_processes: dict[int, list[Any]] = {}
        for device in jax.devices(kind):
            of_processes.setdefault(device.process_index, []).append(device)
        return cls.shaped(
            [device for number in sorted(of_processes) for device in of_processes[number][:wanted]], shape
        )

    @classmethod
    def shaped(cls, devices: Sequence[Any], shape: Mapping[str, int] | None = None) -> "Devices":
        """These devices as a mesh.

        Args:
            devices: of all processes.
            shape: as for ``of``.

        Raises:
            InputError: for a shape that so many devices do not have.

        >>> dict(Devices.shaped(jax.devices()[:1], {"data": -1, "model": 1}).mesh.shape)
        {'data': 1, 'model': 1}
        """
        sizes = mesh_sizes(len(devices), shape)
        if devices[0].platform == "tpu":  # neighbors on the mesh are neighbors on the wires
            found = mesh_utils.create_device_mesh(sizes, devices, allow_split_physical_axes=True)
        else:
            found = np.array(devices).reshape(sizes)
        return cls(Mesh(found, (AXIS, MODEL)))

    @property
    def size(self) -> int:
        """The number of devices."""
        return self.mesh.size

    @property
    def data(self) -> int:
        """The number of parts that a batch is split into."""
        return self.mesh.shape[AXIS]

    @property
    def processes(self) -> int:
        """The number of processes that take part; more than one on several hosts."""
        return jax.process_count()

    @property
    def leads(self) -> bool:
        """Whether this process writes the files of the run: one of them does."""
        return self.processes == 1 or jax.process_index() == 0

    @property
    def first(self) -> Any:
        """The first device of this process."""
        return self.mesh.local_devices[0]

    def check_divides(self, batch_size: int, key: str) -> None:
        """Refuses a batch that does not split evenly.

        Raises:
            InputError: naming the config key, the size and the number of devices.
        """
        if batch_size % self.data:
            near = max(1, batch_size // self.data) * self.data
            raise InputError(f"{key} = {batch_size} does not split over {self.data} devices; {near} does")

    # -- arrays onto devices ---------------------------------------------------------------------------------------

    def replicate(self, tree: Tree) -> Tree:
        """A copy of a tree on every device."""
        return self.put(tree, PartitionSpec())

    def split(self, tree: Tree, axis: int) -> Tree:
        """A tree with one axis of every array split over the devices that share batches."""
        return self.put(tree, self.along(axis))

    def along(self, axis: int) -> PartitionSpec:
        """How arrays are split of which one axis is that of the examples."""
        return PartitionSpec(*[None] * axis, AXIS)

    def sharding(self, spec: PartitionSpec) -> NamedSharding:
        """Where an array lies that is split so."""
        return NamedSharding(self.mesh, spec)

    def put(self, tree: Tree, specs: PyTree) -> Tree:
        """A tree on the devices, each array split as its partition says; one partition may be that of all.

        With several processes each has the same arrays, and keeps its part of them.
        """
        if self.size == 1:  # by name: JAX compiles again for arrays that may lie on any device of the process
            return jax.device_put(tree, self.first)
        one = isinstance(specs, PartitionSpec)
        where = self.sharding(specs) if one else jax.tree.map(self.sharding, specs, is_leaf=_is_spec)
        if self.processes == 1:
            return jax.device_put(tree, where)

        def part(leaf: Any, where: NamedSharding) -> Any:
            if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
                return leaf if leaf.sharding == where else jax.jit(lambda x: x, out_shardings=where)(leaf)
            held = np.asarray(leaf)
            return jax.make_array_from_callback(held.shape, where, lambda index: held[index])

        leaves, tree_of = jax.tree.flatten(tree)
        places = [where] * len(leaves) if one else tree_of.flatten_up_to(where)
        return jax.tree.unflatten(tree_of, [part(*each) for each in zip(leaves, places, strict=True)])

    # -- what each process reads -----------------------------------------------------------------------------------

    def rows(self, batch_size: int) -> np.ndarray | None:
        """The rows of a batch that the devices of this process hold, ascending; None: all of them.

        >>> Devices.of(1).rows(8) is None
        True
        """
        if self.processes == 1:
            return None
        held = self.sharding(PartitionSpec(AXIS)).addressable_devices_indices_map((batch_size,)).values()
        parts = [np.arange(batch_size)[index] for index in held if index is not None]
        found = np.unique(np.concatenate(parts))
        return None if len(found) == batch_size else found

    def join(self, tree: Tree, batch_size: int) -> Tree:
        """Arrays [steps, rows, ...] of this process's ``rows`` of each batch, as arrays of the whole batches."""
        rows = self.rows(batch_size)
        if rows is None:
            return self.split(tree, axis=1)
        where = self.sharding(self.along(1))
        place_of = np.full(batch_size, -1)
        place_of[rows] = np.arange(len(rows))

        def one(held: np.ndarray) -> Any:
            def part(index: Any) -> np.ndarray:
                return held[index[0], place_of[index[1]]][(slice(None), slice(None), *index[2:])]

            return jax.make_array_from_callback((held.shape[0], batch_size, *held.shape[2:]), where, part)

        return jax.tree.map(one, tree)

    # -- and back --------------------------------------------------------------------------------------------------

    def whole(self, tree: Tree) -> Tree:
        """A tree whole on the first device of this process, for what each process does alone."""
        if self.size == 1:
            return tree
        return jax.device_put(self.fetch(tree), self.first)

    def fetch(self, tree: Tree) -> Tree:
        """A tree in the memory of the host, whole, whatever devices its parts lie on; all processes ask for it."""
        if self.processes > 1:
            parts = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
            if not all(leaf.is_fully_replicated for leaf in parts):
                tree = jax.jit(lambda tree: tree, out_shardings=self.sharding(PartitionSpec()))(tree)
        return jax.device_get(tree)


def _is_spec(node: object) -> bool:
    return isinstance(node, PartitionSpec)


def mesh_sizes(count: int, shape: Mapping[str, int] | None) -> tuple[int, int]:
    """The sizes of the axes ``data`` and ``model`` for so many devices.

    Raises:
        InputError: for a shape that so many devices do not have.

    >>> mesh_sizes(8, {"data": -1, "model": 2}), mesh_sizes(8, None)
    ((4, 2), (8, 1))
    """
    if shape is None:
        return count, 1
    sizes = {AXIS: 1, MODEL: 1, **shape}
    known = math.prod(size for size in sizes.values() if size > 0)
    if -1 in sizes.values() and count % known == 0:
        sizes = {axis: count // known if size == -1 else size for axis, size in sizes.items()}
    if sizes[AXIS] * sizes[MODEL] != count:
        given = ", ".join(f"{axis}: {size}" for axis, size in shape.items())
        fits = [f"{count // n} x {n}" for n in range(1, count + 1) if count % n == 0]
        raise InputError(
            f"train.mesh = {{{given}}} does not fit {count} device{'s' * (count > 1)}; as data x model there are "
            f"{', '.join(fits[:6])}{', ...' if len(fits) > 6 else ''}"
        )
    return sizes[AXIS], sizes[MODEL]


def devices_per_process(count: int | str, shape: Mapping[str, int] | None, processes: int = 1) -> int | None:
    """How many devices of each process take part; None: all that there are.

    Raises:
        InputError: for a mesh that does not split over the processes, or contradicts ``count``.

    >>> devices_per_process(1, {"data": 4, "model": 2}, 2), devices_per_process(3, None)
    (4, 3)
    """
    if shape is None:
        return None if count == "all" else int(count)
    if -1 in shape.values():
        return None if count in ("all", 1) else int(count)
    total = int(np.prod(list(shape.values())))
    if total % processes:
        raise InputError(f"train.mesh has {total} devices, which do not split over {processes} processes")
    if count not in ("all", 1, total // processes):
        raise InputError(
            f"train.devices = {count}, and train.mesh has {total // processes} devices per process; leave "
            "train.devices out"
        )
    return total // processes


def ask_for_cpu_devices(count: int | str | None) -> None:
    """Makes the CPU appear as several devices, one per core; must run before JAX is first used.

    Args:
        count: how many; ``"all"`` or None for one per core that this process may run on.
    """
    if count in ("all", None):
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if int(count) > 1 and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        try:
            jax.config.update("jax_num_cpu_devices", int(count))
        except RuntimeError:
            return  # JAX has started already; Devices.of will say so if there are too few devices
