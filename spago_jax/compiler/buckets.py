# SPDX-License-Identifier: BSD-2-Clause
"""Buckets: a few sizes for a dimension, so that ragged inputs meet few compiled programs."""

import bisect
import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from spago_jax.compiler.spec import Spec
from spago_jax.errors import InputError


class Buckets:
    """The allowed sizes of named dimensions, for ``compile(f, *specs, buckets=...)``.

    >>> buckets = Buckets(time=(16, 32), batch=(8,))
    >>> buckets.fit({"time": 17, "batch": 3, "features": 5})
    {'time': 32, 'batch': 8, 'features': 5}
    """

    def __init__(self, **sizes: tuple[int, ...]):
        for name, values in sizes.items():
            if not values or any(int(v) != v or v < 1 for v in values):
                raise InputError(f"bucket {name!r}: sizes must be whole numbers of at least 1, got {values!r}")
        self.sizes = {name: tuple(sorted({int(v) for v in values})) for name, values in sizes.items()}

    def __repr__(self) -> str:
        return f"Buckets({', '.join(f'{name}={sizes}' for name, sizes in self.sizes.items())})"

    def fit(self, actual: Mapping[str, int]) -> dict[str, int]:
        """The smallest bucket that holds each actual size.

        Raises:
            InputError: for a size above the largest bucket, with both.
        """
        fitted = dict(actual)
        for name, sizes in self.sizes.items():
            if name not in actual:
                continue
            at = bisect.bisect_left(sizes, actual[name])
            if at == len(sizes):
                raise InputError(f"{name} = {actual[name]} is beyond the largest bucket, {sizes[-1]} of {sizes}")
            fitted[name] = sizes[at]
        return fitted


def pad_argument(spec: Spec, value: Any, sizes: Mapping[str, int]) -> Any:
    """Pads one argument with zeros up to ``sizes``; on the host for NumPy, on the device for JAX arrays."""
    target = spec.shape(sizes)
    if tuple(value.shape) == target:
        return value
    widths = [(0, goal - size) for size, goal in zip(value.shape, target, strict=True)]
    if isinstance(value, jax.Array):
        return jax.numpy.pad(value, widths)
    return np.pad(np.asarray(value), widths)


@dataclasses.dataclass(frozen=True)
class OutputAxes:
    """How each output axis grows with the named dimensions: size = base + sum(slope * size of dimension)."""

    slopes: tuple[tuple[tuple[int, dict[str, int]], ...], ...]
    treedef: Any

    @classmethod
    def probe(cls, shapes_at: Any, names: tuple[str, ...], at: Mapping[str, int]) -> "OutputAxes":
        """Reads the slopes off the output shapes at ``at`` and with each named dimension one larger.

        Args:
            shapes_at: function of sizes that gives the output's shapes (``jax.eval_shape``).
            names: the dimensions that have buckets.
            at: a size for every dimension.
        """
        leaves, treedef = jax.tree.flatten(shapes_at(at))
        grown = {name: jax.tree.leaves(shapes_at({**at, name: at[name] + 1})) for name in names}
        table = []
        for i, leaf in enumerate(leaves):
            axes = []
            for axis, size in enumerate(leaf.shape):
                slope = {name: grown[name][i].shape[axis] - size for name in names}
                axes.append((size - sum(slope[n] * at[n] for n in names), {n: s for n, s in slope.items() if s}))
            table.append(tuple(axes))
        return cls(tuple(table), treedef)

    def crop(self, output: Any, sizes: Mapping[str, int]) -> Any:
        """Cuts the padding off a program's output."""
        cropped = []
        for leaf, axes in zip(jax.tree.leaves(output), self.slopes, strict=True):
            goal = tuple(base + sum(slope * sizes[n] for n, slope in axis.items()) for base, axis in axes)
            cropped.append(leaf if leaf.shape == goal else leaf[tuple(slice(size) for size in goal)])
        return jax.tree.unflatten(self.treedef, cropped)
