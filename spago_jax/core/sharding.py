# SPDX-License-Identifier: BSD-2-Clause
"""Devices that share a batch: one mesh axis, ``data``, on which examples are split."""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spago_jax.errors import InputError

AXIS = "data"


def ask_for_cpu_devices(count: int | str) -> None:
    """Lets the CPU count as several devices, one a core; must run before JAX is first used.

    Args:
        count: how many, or ``"all"`` for one a core that this process may run on.
    """
    if count == "all":
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if int(count) > 1 and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        try:
            jax.config.update("jax_num_cpu_devices", int(count))
        except RuntimeError:
            return  # JAX has started already; data_mesh will say so if there are too few devices


def data_mesh(count: int | str = 1) -> Mesh:
    """A mesh of ``count`` local devices (or ``"all"``) over which batches are split.

    Raises:
        InputError: when there are fewer devices, saying how to get more on a CPU.

    >>> data_mesh(1).size
    1
    """
    devices = jax.local_devices()
    wanted = len(devices) if count == "all" else int(count)
    if wanted > len(devices):
        hint = "; on a CPU, set XLA_FLAGS=--xla_force_host_platform_device_count=" + str(wanted)
        raise InputError(f"{wanted} devices were asked for, and there are {len(devices)} ({devices[0].platform}){hint}")
    return Mesh(np.array(devices[:wanted]), (AXIS,))


def check_divides(batch_size: int, mesh: Mesh, key: str) -> None:
    """Refuses a batch that does not split evenly over the devices.

    Raises:
        InputError: naming the config key, the size and the number of devices.
    """
    if batch_size % mesh.size:
        near = max(1, batch_size // mesh.size) * mesh.size
        raise InputError(f"{key} = {batch_size} does not split over {mesh.size} devices; {near} does")


def put_replicated(tree: Any, mesh: Mesh) -> Any:
    """Puts a tree on every device of the mesh."""
    if mesh.size == 1:
        return jax.device_put(tree, mesh.devices.item())
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def put_split(tree: Any, mesh: Mesh, axis: int) -> Any:
    """Puts a tree on the mesh with one axis of every array split over the devices.

    On one device too it is put there by name: JAX compiles again for arrays that may be anywhere, where the process
    has other devices.
    """
    if mesh.size == 1:
        return jax.device_put(tree, mesh.devices.item())
    spec = PartitionSpec(*[None] * axis, AXIS)
    return jax.device_put(tree, NamedSharding(mesh, spec))
