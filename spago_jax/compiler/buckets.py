# SPDX-License-Identifier: BSD-2-Clause
"""Buckets: a few sizes for a dimension, so that ragged inputs meet few compiled programs."""

import bisect
import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import Tracer

from spago_jax.compiler.bucket_sizes import choose_buckets, padding_waste
from spago_jax.compiler.jaxprs import ClosedJaxpr
from spago_jax.compiler.padded import misplaced
from spago_jax.compiler.spec import Spec
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


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

    @classmethod
    def for_lengths(cls, n: int = 8, *, multiple: int = 8, **lengths: "ArrayLike") -> "Buckets":
        """Returns the sizes that waste the least padding, for the lengths that were seen of each dimension.

        Args:
            n: at most this many sizes a dimension.
            multiple: each size is a multiple of this.
            lengths: by dimension, the length of each example (a histogram, spelled out).

        Raises:
            InputError: for no lengths, or a negative one.

        >>> buckets = Buckets.for_lengths(2, time=[3, 4, 4, 5, 30, 31])
        >>> buckets, round(buckets.waste(time=[3, 4, 4, 5, 30, 31]), 3)
        (Buckets(time=(8, 32)), 0.198)
        """
        return cls(**{name: choose_buckets(seen, n, multiple=multiple) for name, seen in lengths.items()})

    def waste(self, **lengths: "ArrayLike") -> float:
        """Returns the share of positions that are padding for examples of these lengths, one list per dimension.

        Raises:
            InputError: for a dimension without buckets, or a length beyond the largest.
        """
        kept = 1.0
        for name, seen in lengths.items():
            if name not in self.sizes:
                raise InputError(f"no buckets for {name!r}: {did_you_mean(name, self.sizes)}")
            kept *= 1.0 - padding_waste(seen, self.sizes[name])
        return 1.0 - kept

    def __repr__(self) -> str:
        return f"Buckets({', '.join(f'{name}={sizes}' for name, sizes in self.sizes.items())})"

    def fit(self, actual: Mapping[str, int]) -> dict[str, int]:
        """Returns the smallest bucket that holds each actual size.

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


def pad_argument(spec: Spec, value: PyTree, sizes: Mapping[str, int]) -> Any:
    """Pads one argument with zeros up to ``sizes``; on the host for NumPy and for arrays that lie there."""
    target = spec.shape(sizes)
    if np.shape(value) == target:
        return value
    widths = [(0, goal - size) for size, goal in zip(np.shape(value), target, strict=True)]
    if isinstance(value, jax.Array) and not on_host(value):
        return jax.numpy.pad(value, widths)
    return np.pad(np.asarray(value), widths)


def cut(leaf: Any, goal: tuple[int, ...]) -> object:
    """Returns the first ``goal`` of an array; on the host where the array lies there."""
    if leaf.shape == goal:
        return leaf
    window = tuple(slice(size) for size in goal)
    if on_host(leaf):
        return jax.device_put(np.asarray(leaf)[window])
    return leaf[window]


def on_host(value: jax.Array) -> bool:
    """Whether NumPy sees an array's memory: there each new size would cost JAX a compilation, and NumPy nothing."""
    if isinstance(value, Tracer):
        return False
    devices = value.devices()
    return len(devices) == 1 and next(iter(devices)).platform == "cpu"


Shapes = tuple[tuple[int, ...], ...]


def output_shapes(program: ClosedJaxpr) -> Shapes:
    """Returns the shapes of what a program computes."""
    return tuple(tuple(var.aval.shape) for var in program.jaxpr.outvars)  # type: ignore[union-attr]


@dataclasses.dataclass(frozen=True)
class OutputAxes:
    """How each output axis grows with the named dimensions: size = base + sum(slope * size of dimension).

    Attributes:
        table: ``(base, {dimension: slope})`` of every axis of every output.
        linear: whether that rule held at a third size (a stride, say, has no such rule).
        misplaced: by dimension and output, the operation that moves the padding away from the end.
    """

    table: tuple[tuple[tuple[int, dict[str, int]], ...], ...]
    linear: bool
    misplaced: dict[str, dict[int, str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def probe(
        cls, traced_at: Callable[[Mapping[str, int]], ClosedJaxpr], names: tuple[str, ...], at: Mapping[str, int]
    ) -> "OutputAxes | None":
        """Reads the slopes off the program at ``at`` and with each named dimension one larger.

        Args:
            traced_at: the program at some sizes.
            names: the dimensions that have buckets.
            at: a size for every dimension.

        Returns:
            The rule, or None where the function does not take these sizes (one that must be even, say).
        """
        try:
            base = traced_at(at)
            larger = {name: traced_at({**at, name: at[name] + 1}) for name in names}
            beyond = {**at, **{name: at[name] + 3 for name in names}}
            check = output_shapes(traced_at(beyond))
        except Exception:  # the function may refuse a size that is not a bucket
            return None
        start, grown = output_shapes(base), {name: output_shapes(program) for name, program in larger.items()}
        table = []
        for i, shape in enumerate(start):
            axes = []
            for axis, size in enumerate(shape):
                slope = {name: grown[name][i][axis] - size for name in names}
                axes.append((size - sum(slope[n] * at[n] for n in names), {n: s for n, s in slope.items() if s}))
            table.append(tuple(axes))
        found = {name: enumerate(misplaced(base, program)) for name, program in larger.items()}
        rule = cls(tuple(table), True, {name: {i: cause for i, cause in each if cause} for name, each in found.items()})
        return rule if rule.shapes(beyond) == check else dataclasses.replace(rule, linear=False)

    def joined(self) -> tuple[int, list[str]] | None:
        """Returns the first output with an axis that joins dimensions, or one with itself: ``(output, dimensions)``.

        The padding lies inside such an axis, not at its end.
        """
        for output, axes in enumerate(self.table):
            for _, slope in axes:
                if len(slope) > 1 or any(s not in (0, 1) for s in slope.values()):
                    return output, sorted(slope)
        return None

    def shapes(self, sizes: Mapping[str, int]) -> Shapes:
        """Returns the shapes of all outputs at some sizes."""
        return tuple(
            tuple(base + sum(slope * sizes[n] for n, slope in axis.items()) for base, axis in axes)
            for axes in self.table
        )
