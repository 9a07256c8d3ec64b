# SPDX-License-Identifier: BSD-2-Clause
"""The gradient of a batch, split over the local devices (on a CPU: one host device a core)."""

from collections.abc import Callable

import jax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P


def split_gradient(gradient: Callable, arguments: int) -> Callable:
    """``gradient(model, *batch)`` with every batch array split along its first axis, averaged over the devices."""
    count = jax.device_count()
    if count == 1:
        return gradient
    mesh = Mesh(jax.devices(), ("data",))
    return jax.shard_map(
        lambda model, *batch: jax.lax.pmean(gradient(model, *batch), "data"),
        mesh=mesh,
        in_specs=(P(), *[P("data")] * arguments),
        out_specs=P(),
        check_vma=False,
    )


def split_forward(function: Callable, arguments: int) -> Callable:
    """``function(model, *batch)`` with every batch array, and the result, split along the first axis."""
    count = jax.device_count()
    if count == 1:
        return function
    mesh = Mesh(jax.devices(), ("data",))
    specs = (P(), *[P("data")] * arguments)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=P("data"), check_vma=False)
