# SPDX-License-Identifier: BSD-2-Clause
"""How the outputs of two directions become one."""

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError, did_you_mean

MERGES = ("concat", "sum", "prod", "avg")


def parse_merge(name: str) -> str:
    """A known merge, or an error that names the nearest.

    Raises:
        InputError: for an unknown name.
    """
    if name not in MERGES:
        raise InputError(f"unknown merge {name!r}, {did_you_mean(name, MERGES)}")
    return name


def merge(first: jax.Array, second: jax.Array, how: str = "concat") -> jax.Array:
    """Merges two arrays [..., features]: ``concat`` [first; second], ``sum``, ``prod``, or ``avg`` (their mean).

    Raises:
        InputError: for an unknown merge.

    >>> merge(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]), "avg")
    Array([2., 3.], dtype=float32)
    """
    parse_merge(how)
    if how == "concat":
        return jnp.concatenate([first, second], axis=-1)
    if how == "sum":
        return first + second
    if how == "prod":
        return first * second
    return (first + second) * jnp.asarray(0.5, first.dtype)


def merged_features(first: int, second: int, how: str = "concat") -> int:
    """The number of features after a merge.

    >>> merged_features(3, 3, "concat"), merged_features(3, 3, "sum")
    (6, 3)
    """
    if parse_merge(how) == "concat":
        return first + second
    if first != second:
        raise InputError(f"merge {how!r} needs equal sizes, got {first} and {second}; use 'concat'")
    return first
