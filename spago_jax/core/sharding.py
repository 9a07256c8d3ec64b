# SPDX-License-Identifier: BSD-2-Clause
"""The functions of ``core.devices`` on a mesh; callers move to ``Devices``."""

from typing import Any

from jax.sharding import Mesh

from spago_jax.core.devices import AXIS as AXIS
from spago_jax.core.devices import Devices
from spago_jax.core.devices import ask_for_cpu_devices as ask_for_cpu_devices


def data_mesh(count: int | str = 1) -> Mesh:
    """See ``Devices.of``."""
    return Devices.of(count).mesh


def check_divides(batch_size: int, mesh: Mesh, key: str) -> None:
    """See ``Devices.check_divides``."""
    Devices(mesh).check_divides(batch_size, key)


def put_replicated(tree: Any, mesh: Mesh) -> Any:
    """See ``Devices.replicate``."""
    return Devices(mesh).replicate(tree)


def put_split(tree: Any, mesh: Mesh, axis: int) -> Any:
    """See ``Devices.split``."""
    return Devices(mesh).split(tree, axis)
