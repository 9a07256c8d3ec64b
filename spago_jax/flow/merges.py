# SPDX-License-Identifier: BSD-2-Clause
"""How streams become one: sum, mean, concatenation."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError, did_you_mean


def add(*streams: Any) -> Any:
    """``y = x_1 + ... + x_k``, and ``state_add`` under a name that says what for: a stream plus its memory.

    >>> add(jnp.array([1.0]), jnp.array([2.0]), jnp.array([3.0]))
    Array([6.], dtype=float32)
    """
    return jax.tree.map(lambda *xs: functools.reduce(jnp.add, xs), *streams)


def state_add(stream: Any, *memories: Any) -> Any:
    """``y = x + memories``; a memory that is not there yet is zero.

    >>> state_add(jnp.array([1.0]), jnp.array([2.0]))
    Array([3.], dtype=float32)
    """
    return add(stream, *memories)


def mean(*streams: Any) -> Any:
    """``y = (x_1 + ... + x_k) / k``.

    >>> mean(jnp.array([1.0]), jnp.array([3.0]))
    Array([2.], dtype=float32)
    """
    return jax.tree.map(lambda total: total / len(streams), add(*streams))


def cat(*streams: Any, axis: int = -1) -> Any:
    """``y = [x_1, ..., x_k]`` along the last axis; ``functools.partial(cat, axis=0)`` along another.

    >>> cat(jnp.array([1.0]), jnp.array([3.0]))
    Array([1., 3.], dtype=float32)
    """
    return jnp.concatenate(streams, axis=axis)


MERGES: dict[str, Callable[..., Any]] = {"add": add, "mean": mean, "cat": cat}


def merge_function(given: Any) -> Any:
    """A merge by name; anything else as it is.

    Raises:
        InputError: for an unknown name.
    """
    if not isinstance(given, str):
        return given
    if given not in MERGES:
        raise InputError(f"merge {given!r}: {did_you_mean(given, MERGES)}")
    return MERGES[given]
