# SPDX-License-Identifier: BSD-2-Clause
"""Devices that share a batch: one mesh axis, ``data``, over which examples are split."""

import dataclasses
import os
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spago_jax.errors import InputError

AXIS = "data"
Tree = TypeVar("Tree")


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices of one run; make them with ``Devices.of``.

    Attributes:
        mesh: with the axis ``data`` alone.

    >>> devices = Devices.of(1)
    >>> devices.size, devices.replicate({"x": np.ones(2)})
    (1, {'x': Array([1., 1.], dtype=float32)})
    """

    mesh: Mesh

    @classmethod
    def of(cls, count: int | str = 1, kind: str | None = None) -> "Devices":
        """The first ``count`` local devices, or ``"all"`` of them.

        Args:
            count: how many.
            kind: ``cpu``, ``gpu`` or ``tpu``; by default JAX's own choice.

        Raises:
            InputError: if there are fewer devices, saying how to get more on a CPU; if there is none of that kind.
        """
        try:
            devices = jax.local_devices(backend=kind)
        except RuntimeError:  # JAX knows no such backend here
            there = ", ".join(sorted({device.platform for device in jax.local_devices()} | {"cpu"}))
            raise InputError(
                f"train.device = {kind!r}: JAX finds no {kind.upper() if kind else ''} here; there are: {there}"
            ) from None
        wanted = len(devices) if count == "all" else int(count)
        if wanted > len(devices):
            hint = f"; on a CPU, set XLA_FLAGS=--xla_force_host_platform_device_count={wanted}"
            raise InputError(
                f"{wanted} devices were asked for, and there are {len(devices)} ({devices[0].platform}){hint}"
            )
        return cls(Mesh(np.array(devices[:wanted]), (AXIS,)))

    @property
    def size(self) -> int:
        """The number of devices."""
        return self.mesh.size

    @property
    def processes(self) -> int:
        """The number of processes that take part; more than one on several hosts."""
        return jax.process_count()

    def check_divides(self, batch_size: int, key: str) -> None:
        """Refuses a batch that does not split evenly.

        Raises:
            InputError: naming the config key, the size and the number of devices.
        """
        if batch_size % self.size:
            near = max(1, batch_size // self.size) * self.size
            raise InputError(f"{key} = {batch_size} does not split over {self.size} devices; {near} does")

    def replicate(self, tree: Tree) -> Tree:
        """A copy of a tree on every device."""
        return self._put(tree, PartitionSpec())

    def split(self, tree: Tree, axis: int) -> Tree:
        """A tree with one axis of every array split over the devices."""
        return self._put(tree, PartitionSpec(*[None] * axis, AXIS))

    def _put(self, tree: Tree, spec: PartitionSpec) -> Tree:
        if self.size == 1:  # by name: JAX compiles again for arrays that may lie on any device of the process
            return jax.device_put(tree, self.mesh.devices.item())
        return jax.device_put(tree, NamedSharding(self.mesh, spec))


def ask_for_cpu_devices(count: int | str) -> None:
    """Makes the CPU appear as several devices, one per core; must run before JAX is first used.

    Args:
        count: how many, or ``"all"`` for one per core that this process may run on.
    """
    if count == "all":
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if int(count) > 1 and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        try:
            jax.config.update("jax_num_cpu_devices", int(count))
        except RuntimeError:
            return  # JAX has started already; Devices.of will say so if there are too few devices
