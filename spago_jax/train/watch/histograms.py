# SPDX-License-Identifier: BSD-2-Clause
"""Histograms of weights, gradients and activations, made once per epoch by a small separate program."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import Program, compile
from spago_jax.core import Array, Module, collect_taps, combine, flat, partition
from spago_jax.core.tree import PyTree
from spago_jax.train.task import Batch
from spago_jax.train.watch.config import HistogramsConfig, as_patterns
from spago_jax.train.watch.discover import Discovered, choose, number_of

Histogram = dict[str, Array]


def histogram(x: Array, bins: int) -> Histogram:
    """Counts the finite values in ``bins`` equal parts of their range.

    ``low`` and ``high`` are the ends of the range, and ``not_finite`` counts the other values. A value v lies in bin
    ``floor((v - low) / (high - low) bins)``, and ``high`` itself in the last one.

    >>> {name: value.tolist() for name, value in histogram(jnp.array([0.0, 1.0, 1.5, 4.0, jnp.inf]), 4).items()}
    {'low': 0.0, 'high': 4.0, 'counts': [1, 2, 0, 1], 'not_finite': 1}
    """
    values = x.astype(jnp.float32).ravel()
    finite = jnp.isfinite(values)
    low = jnp.min(values, where=finite, initial=jnp.inf)
    high = jnp.max(values, where=finite, initial=-jnp.inf)
    low, high = jnp.where(finite.any(), low, 0.0), jnp.where(finite.any(), high, 0.0)
    width = jnp.where(high > low, high - low, 1.0)
    place = jnp.clip(jnp.where(finite, (values - low) / width * bins, 0.0).astype(jnp.int32), 0, bins - 1)
    counts = jnp.zeros(bins, jnp.int32).at[place].add(finite)
    return {"low": low, "high": high, "counts": counts, "not_finite": (~finite).sum()}


def histogram_program(
    config: HistogramsConfig, loss: Callable[..., Any], found: Discovered, model: Module, trained: set[str]
) -> Program:
    """Returns a Program ``(model, batch, carry) -> {"weights": {path: histogram}, "gradients": ..., ...}``.

    Args:
        config: the section of the config.
        loss: from ``(model, batch, carry)`` to the mean loss; its taps and module outputs are the activations.
        found: the places of the loss.
        model: the model, for its paths.
        trained: the paths of the arrays that have gradients.

    Raises:
        InputError: for a pattern that matches nothing.
    """
    where = "train.watch.histograms"
    floats = [path for path, leaf in flat(model).items() if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size > 1]
    weights = choose(floats, as_patterns(config.weights), f"{where}.weights", "array")
    gradients = choose(sorted(trained), as_patterns(config.gradients), f"{where}.gradients", "trained array")
    # A tap with the name of a module gets a label of its own.
    labels = {name: ("module", name) for name in found.names("module")}
    labels |= {f"{name} (tap)" if name in labels else name: ("tap", name) for name in found.names("tap")}
    outputs = choose(list(labels), as_patterns(config.activations), f"{where}.activations", "module or tap")

    def histograms(model: Module, batch: Batch, carry: PyTree) -> dict[str, dict[str, Histogram]]:
        params, rest = partition(model, lambda _: trained)

        def inside(params: PyTree) -> tuple[Array, dict[str, Array]]:
            with collect_taps(modules=True) as taps:
                value = loss(combine(params, rest), batch, carry)
            held = {"tap": taps, "module": taps.modules}
            arrays = {label: number_of(kind, held[kind][name]) for label in outputs for kind, name in [labels[label]]}
            return value, {label: array for label, array in arrays.items() if array is not None}

        slopes, activations = jax.grad(inside, has_aux=True)(params) if gradients else (None, inside(params)[1])
        sources: dict[str, Mapping[str, Array]] = {
            "weights": {path: flat(model)[path] for path in weights},
            "gradients": {path: flat(slopes)[path] for path in gradients},
            "activations": activations,
        }
        return {
            kind: {name: histogram(value, config.bins) for name, value in arrays.items()}
            for kind, arrays in sources.items()
        }

    return compile(histograms)


def record(found: Mapping[str, Mapping[str, Histogram]]) -> dict[str, Any]:
    """Fetches the result of the program and returns it as JSON."""
    return jax.tree.map(lambda value: np.asarray(value).tolist(), jax.device_get(found))
