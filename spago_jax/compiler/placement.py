# SPDX-License-Identifier: BSD-2-Clause
"""Where the arrays of a Program lie on a mesh of devices, by rules on their paths."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from spago_jax.core.paths import path_name
from spago_jax.errors import InputError, did_you_mean

Rules = Sequence[tuple[str, PartitionSpec | Sequence[str | None]]]

_COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


class Placement:
    """The mesh and rules of a Program: the first rule whose regular expression is found in an array's path decides.

    Args:
        program: its name, for errors.
        mesh: the devices.
        rules: ``(regular expression, partition)``; a partition names a mesh axis, or None, for each of the array's
            first axes. An array that no rule fits lies whole on every device.

    Raises:
        InputError: for a bad regular expression, or an axis that the mesh does not have.
    """

    def __init__(self, program: str, mesh: Mesh, rules: Rules = ()):
        self.program, self.mesh = program, mesh
        self.rules: list[tuple[re.Pattern[str], PartitionSpec]] = []
        for pattern, parts in rules:
            spec = parts if isinstance(parts, PartitionSpec) else PartitionSpec(*parts)
            for axis in _axes(spec):
                if axis not in mesh.axis_names:
                    hint = did_you_mean(axis, mesh.axis_names)
                    raise InputError(f"{program}: rule {pattern!r} names the mesh axis {axis!r}: {hint}")
            try:
                self.rules.append((re.compile(pattern), spec))
            except re.error as error:
                raise InputError(f"{program}: rule {pattern!r} is not a regular expression: {error}") from None

    def partition(self, path: str, shape: tuple[int, ...]) -> PartitionSpec:
        """How one array is split.

        Raises:
            InputError: where it has too few axes, or an axis does not divide by the devices, naming path and size.
        """
        for pattern, spec in self.rules:
            if not pattern.search(path):
                continue
            if len(spec) > len(shape):
                raise InputError(f"{self.program}: {path} has shape {list(shape)}, too few axes for {spec}")
            for axis, names in enumerate(spec):
                count = math.prod(self.mesh.shape[n] for n in _axes(PartitionSpec(names)))
                if shape[axis] % count:
                    raise InputError(
                        f"{self.program}: axis {axis} of {path} has size {shape[axis]}, "
                        f"which does not split over {count} devices ({names!r})"
                    )
            return spec
        return PartitionSpec()

    def shardings(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a sharding for every array of the arguments by name."""
        return {
            name: jax.tree_util.tree_map_with_path(
                lambda path, leaf, name=name: NamedSharding(
                    self.mesh, self.partition(".".join(filter(None, (name, path_name(path)))), leaf.shape)
                ),
                argument,
            )
            for name, argument in arguments.items()
        }

    def put(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments on their devices; ``ShapeDtypeStruct`` get the sharding written in."""

        def one(leaf: object, sharding: Sharding | None) -> Any:
            if isinstance(leaf, jax.ShapeDtypeStruct):
                return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding, weak_type=leaf.weak_type)
            return jax.device_put(leaf, sharding)

        arrays = {name: jax.tree.map(_as_array, argument) for name, argument in arguments.items()}
        return {name: jax.tree.map(one, arrays[name], where) for name, where in self.shardings(arrays).items()}


def count_collectives(hlo: str) -> dict[str, int]:
    """How often a compiled program (its HLO text) has devices talk to each other, by kind.

    >>> count_collectives("%x = f32[2] all-reduce(f32[2] %y)")
    {'all-reduce': 1}
    """
    counts = {kind: len(re.findall(rf"\s{kind}(?:-start)?\(", hlo)) for kind in _COLLECTIVES}
    return {kind: count for kind, count in counts.items() if count}


def _axes(spec: PartitionSpec) -> list[str]:
    return [axis for part in spec if part is not None for axis in ((part,) if isinstance(part, str) else part)]


def _as_array(leaf: object) -> Any:
    return leaf if hasattr(leaf, "shape") else jax.numpy.asarray(leaf)
