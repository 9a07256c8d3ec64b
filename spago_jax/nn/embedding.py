# SPDX-License-Identifier: BSD-2-Clause
"""Tables of vectors, looked up by id."""

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Module, buffer, static
from spago_jax.core.initializers import normal
from spago_jax.errors import InputError
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.embedding import take_rows


class Embedding(Module):
    """Rows of a trained table, ``y = W[id]``: int[...] -> [..., features].

    The row of ``padding``, where there is one, reads as zeros and gets no gradient. Ids outside the table are
    clipped to it, as everywhere in JAX: a vocabulary maps what it does not know to its unknown entry.
    Source: spaGO nn/embedding.

    >>> Embedding(weight=jnp.array([[9.0], [1.0], [2.0]]), padding=0)(jnp.array([2, 0, 1]))[:, 0]
    Array([2., 0., 1.], dtype=float32)
    """

    weight: Array
    padding: int | None = static(default=None)

    @classmethod
    def init(
        cls, key: Array, rows: int, features: int, *, padding: int | None = None, std: float | None = None
    ) -> "Embedding":
        """Normal numbers with standard deviation ``std``; by default ``features ** -0.5``, rows of about unit norm.

        Raises:
            InputError: for a size below 1, or a padding row outside the table.
        """
        check_sizes("Embedding", rows=rows, features=features)
        weight = normal(key, (rows, features), features**-0.5 if std is None else std)
        return cls(weight=_clear(weight, padding), padding=padding)

    @classmethod
    def from_vectors(cls, vectors: "Array | np.ndarray", *, padding: int | None = None) -> "Embedding":
        """A table of given vectors [rows, features].

        Raises:
            InputError: if they are not a matrix, or hold NaN or infinity, naming the first such row.
        """
        return cls(weight=_clear(_check(vectors), padding), padding=padding)

    def __call__(self, ids: Array) -> Array:
        """int[...] -> [..., features]."""
        return _lookup(self.weight, ids, self.padding)


class FixedEmbedding(Module):
    """An :class:`Embedding` whose table is saved with the model and never trained: ``y = W[id]``, int[...] -> [..., k].

    >>> import spago_jax as sj
    >>> table = FixedEmbedding.from_vectors(np.ones((2, 3), np.float32))
    >>> sj.roles(table)["weight"].trainable
    False
    """

    weight: Array = buffer()
    padding: int | None = static(default=None)

    @classmethod
    def from_vectors(cls, vectors: "Array | np.ndarray", *, padding: int | None = None) -> "FixedEmbedding":
        """A table of given vectors [rows, features].

        Raises:
            InputError: if they are not a matrix, or hold NaN or infinity, naming the first such row.
        """
        return cls(weight=_clear(_check(vectors), padding), padding=padding)

    def __call__(self, ids: Array) -> Array:
        """int[...] -> [..., features]."""
        return _lookup(self.weight, ids, self.padding)


def _lookup(weight: Array, ids: Array, padding: int | None) -> Array:
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise InputError(f"embedding ids have dtype {ids.dtype}, expected integers")
    rows = take_rows(weight, ids)
    if padding is None:
        return rows
    return jnp.where((ids == padding)[..., None], jnp.zeros((), rows.dtype), rows)


def _check(vectors: "Array | np.ndarray") -> Array:
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise InputError(f"vectors have shape {vectors.shape}, expected [rows, features]")
    bad = np.flatnonzero(~np.isfinite(vectors.astype(np.float32)).all(axis=1))
    if len(bad):
        raise InputError(f"vector {bad[0]} holds NaN or infinity ({len(bad)} such rows of {len(vectors)})")
    return jnp.asarray(vectors)


def _clear(weight: Array, padding: int | None) -> Array:
    if padding is None:
        return weight
    if not 0 <= padding < weight.shape[0]:
        raise InputError(f"padding row {padding} is not in a table of {weight.shape[0]} rows")
    return weight.at[padding].set(0)
