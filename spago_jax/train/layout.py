# SPDX-License-Identifier: BSD-2-Clause
"""Where the arrays of a training state lie on a mesh of devices, by rules on their paths."""

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from spago_jax.core import Module
from spago_jax.core.devices import AXIS, MODEL, Devices
from spago_jax.core.paths import flat, map_named, match_paths, matches
from spago_jax.errors import InputError
from spago_jax.models.tensor_parallel import RULES
from spago_jax.ops.by_batch import batch_mesh

Tree = TypeVar("Tree")
Axes = Sequence[str | None]


class Layout:
    """Where the arrays of a training state lie.

    An array of the model follows the rule of its path; what the optimizer and the average keep of it follows it. With
    ``fsdp`` (fully sharded data parallelism), each device holds a part of each array, and the step brings the parts
    together where they are used: gradients come back as parts.

    Args:
        devices: the devices.
        model: the model, or its shapes.
        sharding: ``train.sharding`` of a config.

    Raises:
        InputError: for a pattern that matches no array, an axis of an array that does not split, or ``tensor`` for a
            model that no rule is about.

    Source: Rajbhandari et al. (2020), "ZeRO: Memory optimizations toward training trillion parameter models".
    """

    def __init__(self, devices: Devices, model: Module, sharding: str | Mapping[str, Any] = "replicated"):
        self.devices = devices
        arrays = {path: np.shape(leaf) for path, leaf in flat(model).items()}
        self._in_parts = isinstance(sharding, str) and "fsdp" in sharding.split("+")
        if not isinstance(sharding, str):
            found = _by_patterns(devices, model, arrays, sharding)
        else:
            kinds = sharding.split("+")
            found = {path: [None] * len(shape) for path, shape in arrays.items()}
            if "tensor" in kinds:
                found = {path: _by_rules(devices, path, shape) for path, shape in arrays.items()}
                if devices.mesh.shape[MODEL] > 1 and not any(MODEL in axes for axes in found.values()):
                    raise InputError(
                        f"train.sharding = {sharding!r}: no rule splits an array of this model over "
                        f"{devices.mesh.shape[MODEL]} devices; say how by patterns, as in "
                        f"train.sharding: {{{next(iter(arrays))!r}: [model]}}"
                    )
            if self._in_parts:
                found = {path: _in_parts(devices, axes, arrays[path]) for path, axes in found.items()}
        self._specs = {path: _spec(axes) for path, axes in found.items()}
        self._shapes = arrays
        self._longest = sorted(arrays, key=len, reverse=True)

    # -- where -----------------------------------------------------------------------------------------------------

    def spec(self, path: str, shape: Sequence[int]) -> PartitionSpec:
        """How an array of a state, or of a model, is split."""
        owner = self._owner(path)
        if owner is not None and tuple(shape) == self._shapes[owner]:
            return self._specs[owner]
        if owner is not None and self._in_parts:  # sums over an axis of the parameter, for example
            return _spec(_in_parts(self.devices, [None] * len(shape), shape))
        return PartitionSpec()

    def _owner(self, path: str) -> str | None:
        """The array of the model that one of the state belongs to: its path ends with it; the longest that fits."""
        return next((own for own in self._longest if path == own or path.endswith(f".{own}")), None)

    def specs(self, state: Tree) -> Tree:
        """How the arrays of a state, or of a model, are split; those of a carried text go with the batch."""
        return map_named(lambda path, leaf: self.where(path, np.shape(leaf)).spec, state)

    def shardings(self, state: Tree) -> Tree:
        """The same as shardings."""
        return map_named(lambda path, leaf: self.where(path, np.shape(leaf)), state)

    def where(self, path: str, shape: Sequence[int]) -> NamedSharding:
        """Where an array of a state lies, by its path."""
        if path == "carry" or path.startswith("carry."):
            return self.devices.sharding(self.devices.along(0))
        return self.devices.sharding(self.spec(path, shape))

    def put(self, state: Tree) -> Tree:
        """A state, or a model, on its devices."""
        return self.devices.put(state, PartitionSpec() if self.devices.size == 1 else self.specs(state))

    # -- traced ----------------------------------------------------------------------------------------------------

    def splitting(self) -> AbstractContextManager[Any]:
        """Returns the context in which a step is traced: loops over time are split by examples."""
        return batch_mesh((self.devices.mesh, AXIS))

    def keep(self, state: Tree) -> Tree:
        """Keeps a state where it lies, through a step."""
        return jax.lax.with_sharding_constraint(state, self.shardings(state))

    def whole(self, model: Tree) -> Tree:
        """Brings the parts of each array over ``data`` together for use; its gradient comes back in parts."""

        def one(path: str, leaf: Any) -> Any:
            spec = self.spec(path, np.shape(leaf))
            if AXIS not in spec:
                return leaf
            together = _spec([None if axis == AXIS else axis for axis in spec])
            return _together(self.devices.sharding(together), self.devices.sharding(spec), leaf)

        return map_named(one, model)

    def everywhere(self, tree: Tree) -> Tree:
        """Brings arrays whole to every device."""
        return jax.lax.with_sharding_constraint(tree, self.devices.sharding(PartitionSpec()))

    def carried(self, carry: Tree) -> Tree:
        """Keeps a carried text split as the batch is."""
        return jax.lax.with_sharding_constraint(carry, self.devices.sharding(self.devices.along(0)))

    def outputs(self, outputs: Tree) -> Tree:
        """Keeps outputs [steps, batch, ...] split as the batch is; with several processes, each gets all of them."""
        if self.devices.processes > 1:
            return self.everywhere(outputs)
        return jax.lax.with_sharding_constraint(outputs, self.devices.sharding(self.devices.along(1)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _together(whole: NamedSharding, part: NamedSharding, x: jax.Array) -> jax.Array:
    return jax.lax.with_sharding_constraint(x, whole)


def _together_forward(whole: NamedSharding, part: NamedSharding, x: jax.Array) -> tuple[jax.Array, None]:
    return jax.lax.with_sharding_constraint(x, whole), None


def _together_backward(whole: NamedSharding, part: NamedSharding, _: None, gradient: jax.Array) -> tuple[jax.Array]:
    return (jax.lax.with_sharding_constraint(gradient, part),)


_together.defvjp(_together_forward, _together_backward)


def _by_rules(devices: Devices, path: str, shape: Sequence[int]) -> list[str | None]:
    """The axes of the first rule of ``models.tensor_parallel`` that fits, from the end; none where none does."""
    for ending, axes in RULES:
        if (path == ending or path.endswith(f".{ending}")) and len(axes) <= len(shape):
            found = [*[None] * (len(shape) - len(axes)), *axes]
            if all(size % devices.mesh.shape[axis] == 0 for size, axis in zip(shape, found, strict=True) if axis):
                return found
    return [None] * len(shape)


def _in_parts(devices: Devices, axes: Axes, shape: Sequence[int]) -> list[str | None]:
    """The axes, with the largest one that is left and divides split over ``data``."""
    free = [n for n, size in enumerate(shape) if axes[n] is None and size and size % devices.data == 0]
    if not free:
        return list(axes)
    largest = max(free, key=lambda n: shape[n])
    return [AXIS if n == largest else axis for n, axis in enumerate(axes)]


def _by_patterns(
    devices: Devices, model: Module, arrays: Mapping[str, tuple[int, ...]], patterns: Mapping[str, Any]
) -> dict[str, Axes]:
    for pattern in patterns:
        match_paths(model, pattern, where="train.sharding")
    found: dict[str, Axes] = {}
    for path, shape in arrays.items():
        pattern = next((each for each in patterns if matches(path, each)), None)
        given = () if pattern is None else patterns[pattern]
        axes = (given,) if isinstance(given, str) else tuple(given)
        if len(axes) > len(shape):
            raise InputError(
                f"train.sharding: {pattern!r} names {len(axes)} axes, and {path} has {len(shape)}: {list(shape)}"
            )
        for n, axis in enumerate(axes):
            if axis is not None and (shape[n] % devices.mesh.shape[axis] or axes.count(axis) > 1):
                raise InputError(
                    f"train.sharding: {pattern!r}: axis {n} of {path}, of size {shape[n]}, does not split over the "
                    f"{devices.mesh.shape[axis]} devices of {axis!r}"
                    + (", which splits another axis already" if axes.count(axis) > 1 else "")
                )
        found[path] = axes
    return found


def _spec(axes: Axes) -> PartitionSpec:
    """A partition without Nones at the end: JAX takes two ways to write one for two."""
    kept = list(axes)
    while kept and kept[-1] is None:
        kept.pop()
    return PartitionSpec(*kept)
