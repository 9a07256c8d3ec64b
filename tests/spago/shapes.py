"""spaGO's columns and our rows: a vector is [n, 1] there and [n] here, a sequence a list there and [time, n] here."""

from collections.abc import Sequence

import jax.numpy as jnp

from spago_jax.core import Array


def sequence(columns: Sequence[Array]) -> Array:
    """A list of columns [n, 1] as [time, n]."""
    return jnp.stack([vector(column) for column in columns])


def columns(ys: Array) -> list[Array]:
    """[time, n] as a list of columns [n, 1]."""
    return [column(y) for y in ys]


def vector(column: Array) -> Array:
    """A column [n, 1] (or a row [1, n]) as [n]."""
    return column.reshape(-1)


def column(vector: Array) -> Array:
    """[n] (or a scalar) as a column [n, 1]."""
    return vector.reshape(-1, 1)
