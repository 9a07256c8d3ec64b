# SPDX-License-Identifier: BSD-2-Clause
"""Layer-wise decay of the learning rate: the nearer an array is to the words, the smaller its steps."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.core.paths import flat
from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError

__all__ = ["layer_scales"]

_BELOW = ("embeddings", "relative_bias")  # what every layer reads


def layer_scales(model: PyTree, decay: float) -> Mapping[str, float | np.ndarray]:
    """Returns the factor ``decay^(L + 2 - depth)`` of the learning rate by path.

    An encoder is what has ``embeddings`` and ``layers`` side by side. Its embeddings have depth 0, its layer i of L,
    counted from 0, has depth i + 1, and all else, the heads, depth L + 2, so that its factor is 1 and it is left out.
    Where all layers share one array the factors stand along its first axis; one with fewer rows than there are layers
    belongs to the last of them. Source: Clark et al. (2020), "ELECTRA".

    Args:
        model: the model, or its shapes.
        decay: from 0 to 1.

    Raises:
        InputError: for a model without such an encoder.

    >>> import jax.numpy as jnp
    >>> model = {"encoder": {"embeddings": jnp.ones(4), "layers": {"up": jnp.ones((2, 3))}}, "head": jnp.ones(3)}
    >>> scales = layer_scales(model, 0.5)
    >>> scales["encoder.embeddings"], scales["encoder.layers.up"].tolist(), sorted(scales)
    (0.0625, [[0.125], [0.25]], ['encoder.embeddings', 'encoder.layers.up'])
    """
    arrays = flat(model)
    scales: dict[str, float | np.ndarray] = {}
    for prefix in _encoders(arrays):
        layers = {path: path.removeprefix(f"{prefix}layers.") for path in arrays if path.startswith(f"{prefix}layers.")}
        numbers = {int(name.split(".")[0]) for name in layers.values() if name.split(".")[0].isdecimal()}
        count = len(numbers) or max(np.shape(arrays[path])[0] for path in layers)
        for path, name in layers.items():
            first = name.split(".")[0]
            if first.isdecimal():
                scales[path] = decay ** (count + 1 - int(first))
                continue
            shape = np.shape(arrays[path])
            depth = np.arange(count - shape[0], count) + 1
            scales[path] = (decay ** (count + 2.0 - depth)).reshape(-1, *[1] * (len(shape) - 1))
        for path in arrays:
            if any(path == prefix + name or path.startswith(f"{prefix}{name}.") for name in _BELOW):
                scales[path] = decay ** (count + 2)
    if not scales:
        raise InputError(
            f"optimizer.layer_decay = {decay:g}, but the model has no encoder of embeddings and layers, which a "
            "transformer has; leave it out"
        )
    return scales


def _encoders(arrays: Mapping[str, Any]) -> list[str]:
    """The paths, with a dot at their end, of what holds embeddings and layers; empty for the model itself."""
    holders: dict[str, set[str]] = {"embeddings": set(), "layers": set()}
    for path in arrays:
        parts = path.split(".")
        for at, name in enumerate(parts):
            if name in holders:
                holders[name].add("".join(f"{part}." for part in parts[:at]))
    return sorted(holders["embeddings"] & holders["layers"])
