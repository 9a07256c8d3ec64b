# SPDX-License-Identifier: BSD-2-Clause
"""Donated buffers: which of them the outputs cannot take over."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import jax

from spago_jax.core.paths import path_name
from spago_jax.core.tree import PyTree


class DonationWarning(UserWarning):
    """Some donated memory could not be reused; it is freed after the call all the same."""


def unused_donations(arguments: Mapping[str, Any], donated: Iterable[str], output: PyTree) -> list[str]:
    """Returns the donated arrays for which no output of the same shape and dtype is left, as ``path: dtype[shape]``.

    >>> unused_donations({"state": [jnp.ones(2), jnp.ones(3)]}, ["state"], jnp.ones(2))
    ['state.1: float32[3]']
    """
    free = Counter(_kind(leaf) for leaf in jax.tree.leaves(output))
    left = []
    for name in donated:
        for path, leaf in jax.tree_util.tree_flatten_with_path(arguments.get(name))[0]:
            kind = _kind(leaf)
            if free[kind]:
                free[kind] -= 1
            else:
                left.append(f"{'.'.join(filter(None, (name, path_name(path))))}: {kind[1]}{list(kind[0])}")
    return left


def _kind(leaf: Any) -> tuple[tuple[int, ...], str]:
    aval = leaf if hasattr(leaf, "shape") else jax.typeof(leaf)
    return tuple(aval.shape), str(aval.dtype)
