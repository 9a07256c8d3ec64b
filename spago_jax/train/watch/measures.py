# SPDX-License-Identifier: BSD-2-Clause
"""Measures: the values that a watched training step adds to its sums, traced into the same program."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, collect_taps, flat
from spago_jax.core.taps import Collector
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError
from spago_jax.train.watch.config import WatchConfig, as_patterns
from spago_jax.train.watch.discover import Discovered, Place, choose, number_of

RESERVED = ("step", "kind", "epoch", "loss", "gradient_norm", "learning_rate")
FAMILIES = ("dev.", "activation/", "gradient/", "weight/", "update/")
LATER = jnp.iinfo(jnp.int32).max  # "no place": above every index
ROOT = "model"


class Measures:
    """The measurements of each step: one vector of numbers, and the place of the first non-finite value.

    For a tap: its mean. For a module's output, with ``activations``: mean, mean square (whose root is the epoch's root
    mean square), the share of zeros, and the share of dead units (those of the last axis that are zero everywhere in
    the batch). For gradients and weights: the norm. For updates: their norm over that of the weights before, or 0 if
    those are all zero.

    Args:
        config: the section of the config; None measures nothing and leaves the traced program unchanged.
        found: the places of the model, for the whole batch.
        arrays: the paths of the trained arrays.

    Raises:
        InputError: for a pattern that matches nothing, or a tap with the name of something else.
    """

    def __init__(self, config: WatchConfig | None, found: Discovered, arrays: list[str]):
        self.on = config is not None
        self.names: tuple[str, ...] = ()
        self.places: tuple[str, ...] = ()
        if config is None:
            return
        self.arrays = sorted(arrays)
        self.tags = choose(found.names("tap"), as_patterns(config.tags), "train.watch.tags", "tap")
        modules = found.names("module")
        self.activations = choose(
            modules, as_patterns(config.activations), "train.watch.activations", "module's output"
        )
        for name in self.tags:
            if name in RESERVED or name.startswith(FAMILIES):
                raise InputError(
                    f"the tap {name!r} of the model shares its name with something else that is watched: rename it, or "
                    f"leave it out of train.watch.tags"
                )
        self.per = {"gradient": config.gradients, "weight": config.weights, "update": config.updates}
        wanted = {("tap", name) for name in self.tags} | {("module", name) for name in self.activations}
        self.locate, self.everywhere = config.locate is not None, config.locate == "modules"
        self.watched = [p for p in found.places if self.everywhere or (p.kind, p.name) in wanted]
        if self.locate:
            self.places = (
                *map(str, self.watched), "the loss", *(f"the gradient of {path!r}" for path in self.arrays)
            )  # fmt: skip
        self.names = (
            *self.tags,
            *(f"activation/{name}/{what}" for name in self.activations for what in ("mean", "rms", "zeros", "dead")),
            *(f"{kind}/{name}" for kind, per in self.per.items() if per for name in self._groups(per)),
        )

    @property
    def roots(self) -> list[bool]:
        """Returns for each name whether the value of an epoch is the root of the mean over steps."""
        return [name.startswith("activation/") and name.endswith("/rms") for name in self.names]

    def describe(self, index: int) -> str | None:
        """Describes the place of an index that a program returned."""
        return self.places[index] if 0 <= index < len(self.places) else None

    # -- traced ----------------------------------------------------------------------------------------------------

    def start(self) -> dict[str, Array]:
        """Returns the initial sums of a call."""
        if not self.on:
            return {}
        zeros = jnp.zeros(len(self.names), jnp.float32)
        return {"watch": zeros, **({"bad_place": jnp.full((), LATER, jnp.int32)} if self.locate else {})}

    def collect(self) -> AbstractContextManager[Any]:
        """Returns the collector in which to compute the loss."""
        wants_modules = self.on and any(place.kind == "module" for place in self.watched)
        return collect_taps(modules=wants_modules) if self.on else nullcontext()

    def inside(self, found: Collector | None) -> dict[str, Any]:
        """Returns the numbers of one step's values, to be returned as aux by the differentiated function."""
        if found is None:
            return {}
        arrays = {(p.kind, p.name): _array_of(found, p) for p in self.watched}
        means = {key: _mean(x) for key, x in arrays.items()}
        outputs = [arrays["module", name] for name in self.activations]
        return {
            # Lists, because JAX would sort a dict and the order counts. They are used only in a bad step, and whole
            # arrays would have to be kept for that, so the mean stands in for whatever is measured anyway.
            "held": list(arrays.values()) if self.everywhere else list(means.values()),
            "tags": [means["tap", name] for name in self.tags],
            "means": [means["module", name] for name in self.activations],
            "squares": [_mean(jnp.square(x.astype(jnp.float32))) for x in outputs],
            "zeros": [_mean(x == 0) for x in outputs],
            "alive": [jnp.any((x != 0).reshape(-1, x.shape[-1] if x.ndim else 1), axis=0) for x in outputs],
        }

    def step(
        self, totals: Mapping[str, Array], inside: PyTree, *, loss: Array, gradients: PyTree, params: PyTree,
        updates: PyTree, first_bad: Array,
    ) -> dict[str, Array]:  # fmt: skip
        """Adds one more step to the sums.

        Args:
            totals: the sums so far.
            inside: the result of ``inside``.
            loss: the summed loss.
            gradients: the gradients of the whole batch.
            params: the weights before the update.
            updates: what is added to the weights.
            first_bad: whether this is the first step whose loss or gradient is not finite.
        """
        if not self.on:
            return {}
        with jax.named_scope("watch"):
            squares = {"gradient": _squares(gradients) if self.per["gradient"] else {}, "weight": {}, "update": {}}
            if self.per["weight"] or self.per["update"]:
                squares["weight"] = _squares(params)
            if self.per["update"]:
                squares["update"] = _squares(updates)
            values = [*inside["tags"]]
            dead = self._dead(inside["alive"])
            for measured in zip(inside["means"], inside["squares"], inside["zeros"], dead, strict=True):
                values += measured
            for kind, per in self.per.items():
                if per:
                    values += self._norms(kind, self._groups(per), squares)
            vector = jnp.stack(values) if values else jnp.zeros(0, jnp.float32)
            new = {"watch": totals["watch"] + vector}
            if self.locate:
                named = flat(gradients)
                held = [*inside["held"], loss, *(named[path] for path in self.arrays)]
                new["bad_place"] = jnp.where(first_bad, _first_bad(first_bad, held), totals["bad_place"])
            return new

    def _dead(self, alive: list[Array]) -> list[Array]:
        if not alive:
            return []
        counts = jnp.concatenate(alive).astype(jnp.float32)
        shares, begin = [], 0
        for units in alive:
            shares.append(_mean(counts[begin : begin + units.size] == 0))
            begin += units.size
        return shares

    def _groups(self, per: str) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = {}
        for path in self.arrays:
            name = path if per == "array" else path.rpartition(".")[0] or ROOT
            groups.setdefault(name, []).append(path)
        return groups

    def _norms(self, kind: str, groups: Mapping[str, list[str]], squares: Mapping[str, Any]) -> list[Array]:
        def norm(kind: str, paths: list[str]) -> Array:
            return jnp.sqrt(jnp.stack([squares[kind][path] for path in paths]).sum())

        if kind != "update":
            return [norm(kind, paths) for paths in groups.values()]
        ratios = []
        for paths in groups.values():
            weight, update = norm("weight", paths), norm("update", paths)
            ratios.append(jnp.where(weight > 0, update / jnp.where(weight > 0, weight, 1.0), 0.0))
        return ratios


def _array_of(found: Collector, place: Place) -> Array:
    held = found if place.kind == "tap" else found.modules
    value = number_of(place.kind, held[place.name]) if place.name in held else None
    if value is None:
        raise InputError(f"{place} exists for some batches only: watched values may not depend on the shapes")
    return jax.lax.stop_gradient(value)


def _mean(x: Array) -> Array:
    x = jnp.abs(x) if jnp.issubdtype(x.dtype, jnp.complexfloating) else x
    return jnp.mean(x, dtype=jnp.float32)


def _first_bad(asked: Array, arrays: list[Array]) -> Array:
    """Returns the index of the first array with a non-finite value; computed only if requested."""

    def look(arrays: list[Array]) -> Array:
        broken = jnp.stack([~jnp.all(jnp.isfinite(x)) for x in arrays])
        return jnp.where(broken.any(), jnp.argmax(broken).astype(jnp.int32), LATER)

    return jax.lax.cond(asked, look, lambda arrays: jnp.full((), LATER, jnp.int32), arrays)


def _squares(tree: PyTree) -> dict[str, Array]:
    """Returns the sum of squares of each array."""
    return {path: jnp.sum(jnp.square(jnp.abs(leaf).astype(jnp.float32))) for path, leaf in flat(tree).items()}


NOTHING = Measures(None, Discovered((), 0), [])
