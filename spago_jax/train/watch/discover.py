# SPDX-License-Identifier: BSD-2-Clause
"""Finds the taps and modules of a model by tracing its loss once, without computing it."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import collect_taps
from spago_jax.core.paths import matches
from spago_jax.errors import InputError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Place:
    """A value in the model: a tap or the output of a module."""

    kind: str
    name: str
    units: int

    def __str__(self) -> str:
        return f"{'the tap' if self.kind == 'tap' else 'the module'} {self.name!r}"


@dataclasses.dataclass(frozen=True)
class Discovered:
    """The places of a model in the order of computation, and the number of values in inner traces."""

    places: tuple[Place, ...]
    skipped: int

    def names(self, kind: str) -> list[str]:
        """Returns the names of the taps, or of the modules."""
        return [place.name for place in self.places if place.kind == kind]


def discover(loss: Callable[..., Any], *args: Any) -> Discovered:
    """Finds the places of a loss function that hold numbers, from the shapes of its arguments."""
    places: list[Place] = []
    skipped = 0

    def traced(*args: Any) -> None:
        nonlocal skipped
        with collect_taps(modules=True) as found:
            loss(*args)
        for kind, name in found.order:
            value = number_of(kind, (found if kind == "tap" else found.modules)[name])
            if value is not None:
                places.append(Place(kind, name, value.shape[-1] if value.ndim else 1))
        skipped = found.skipped

    jax.eval_shape(traced, *args)
    return Discovered(tuple(places), skipped)


def number_of(kind: str, value: object) -> jax.Array | None:
    """Returns the array that stands for a value (the first of a tap, the first of floats of a module), if any."""
    leaves = [leaf for leaf in jax.tree.leaves(value) if hasattr(leaf, "dtype")]
    if kind == "module":
        leaves = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    usable = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == jnp.bool_]
    return usable[0] if usable and usable[0].size else None


def choose(names: Sequence[str], patterns: Iterable[str], where: str, what: str) -> list[str]:
    """Returns the names that any pattern matches, in order; every pattern but ``"*"`` must match some name.

    Args:
        names: all names.
        patterns: shell wildcards over the whole name, or the beginning of dotted names.
        where: the key of the config, for errors.
        what: the kind of thing that is named, for errors.

    Raises:
        InputError: for a pattern that matches nothing; suggests the nearest name.

    >>> choose(["hidden", "encoder.h", "encoder.c"], ["encoder"], "train.watch.tags", "tap")
    ['encoder.h', 'encoder.c']
    """
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if matches(name, pattern)}
        if not hits and pattern != "*":
            rest = did_you_mean(pattern, names) if names else f"the model has no {what}"
            raise InputError(f"{where}: {pattern!r} matches no {what} of the model: {rest}")
        found |= hits
    return [name for name in names if name in found]
