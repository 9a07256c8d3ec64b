# SPDX-License-Identifier: BSD-2-Clause
"""Loops over time on several devices: each device runs the loop for its examples, and nothing is sent inside of it.

XLA splits a program over devices operation by operation. In a loop it would add up the gradients of the weights over
the devices at every step, or bring the examples together; a function that treats each example alone can be split by
them as a whole instead.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import Mesh, PartitionSpec

from spago_jax.core.tree import PyTree

Result = TypeVar("Result")

batch_mesh: Any = jax.make_user_context(None)
"""The mesh and the axis that batches are split over: ``with batch_mesh((mesh, "data")): ...``; None on one device."""


def by_batch(
    function: Callable[..., Result], whole: PyTree, split: PyTree, *, axes: PyTree, size: int, out: PyTree
) -> Result:
    """``function(whole, split)``, on several devices for the examples of each.

    Args:
        function: of two trees of arrays, whose results for an example depend on no other example.
        whole: what all examples share, such as weights.
        split: what has an axis of examples.
        axes: which axis that is: one number, or a tree whose leaves stand for all below them.
        size: the number of examples.
        out: the same of the results.

    >>> import jax.numpy as jnp
    >>> by_batch(lambda w, x: w * x, jnp.array(2.0), jnp.arange(3.0), axes=0, size=3, out=0)
    Array([0., 2., 4.], dtype=float32)
    """
    shared: tuple[Mesh, str] | None = batch_mesh.value
    leaves = jax.tree.leaves((whole, split))
    if shared is None or size % shared[0].shape[shared[1]] or not all(isinstance(x, jax.Array) for x in leaves):
        return function(whole, split)
    mesh, axis = shared

    def spec(place: int) -> PartitionSpec:
        return PartitionSpec(*[None] * place, axis)

    return jax.shard_map(
        function,
        mesh=mesh,
        in_specs=(PartitionSpec(), jax.tree.map(spec, axes)),
        out_specs=jax.tree.map(spec, out),
        check_vma=False,
    )(whole, split)
