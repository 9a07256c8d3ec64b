# SPDX-License-Identifier: BSD-2-Clause
"""Relative positions in buckets, whose learned numbers are added to the scores of attention."""

import functools
import math

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array
from spago_jax.ops.embedding import take_rows

BUCKETS = 32
FARTHEST = 128


@functools.lru_cache(maxsize=32)
def buckets(count: int = BUCKETS, farthest: int = FARTHEST, *, both: bool = True) -> np.ndarray:
    """The bucket of each distance ``key - query`` from ``-farthest`` to ``farthest``; farther ones share the last.

    Half of the buckets are for keys after the query; or none, where a query sees only those before it. Of each half the
    first 8 of 16 are for one distance each, and the others grow with its logarithm. Source: Raffel et al. (2020), as
    transformers computes it (in float32).

    Args:
        count: how many buckets there are.
        farthest: the distance from which all share a bucket.
        both: whether queries see keys after them.

    >>> buckets()[[128, 127, 120, 118, 0, 129, 256]]
    array([ 0,  1,  8,  8, 15, 17, 31])
    >>> buckets(both=False)[[128, 127, 112, 0, 129]]
    array([ 0,  1, 16, 31,  0])
    """
    distance = np.arange(-farthest, farthest + 1)
    half = count // 2 if both else count
    size = np.abs(distance) if both else np.maximum(-distance, 0)
    exact = half // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = np.log(size.astype(np.float32) / np.float32(exact)) / np.float32(math.log(farthest / exact))
    far = np.where(size < exact, 0, exact + np.maximum(grown, 0) * np.float32(half - exact)).astype(int)
    found = np.where(size < exact, size, np.minimum(far, half - 1))
    return np.where(distance > 0, half, 0) + found if both else found


def relative_bias(
    table: Array, time: int, *, count: int = BUCKETS, farthest: int = FARTHEST, both: bool = True
) -> Array:
    """``table[bucket(j - i)]`` for each query i and key j: [buckets, heads] -> [heads, time, time].

    The rows are taken once per distance and laid along the diagonals, so the gradient is a sum along them. The other
    arguments are those of ``buckets``; MPNet has 32 whatever its table has.
    """
    of = buckets(count, farthest, both=both)
    if not isinstance(time, int):  # an export's, which is not known: it cannot be sliced by
        places = jnp.arange(time)
        return jnp.moveaxis(_rows(table, places[None, :] - places[:, None], of), -1, 0)
    by_distance = _rows(table, jnp.arange(2 * time) - (time - 1), of).T  # [heads, 2 * time]
    heads = table.shape[1]
    # The same row over and over, read as rows one number shorter: each starts one place earlier in the original.
    laid = jnp.broadcast_to(by_distance[:, None, :], (heads, time, 2 * time)).reshape(heads, -1)
    return laid[:, : time * (2 * time - 1)].reshape(heads, time, 2 * time - 1)[:, :, time - 1 :]


def relative_bias_at(table: Array, place: Array, time: int, *, count: int = BUCKETS, farthest: int = FARTHEST) -> Array:
    """The row of ``relative_bias`` for one query that sees what is before it: [buckets, heads] -> [heads, time]."""
    return _rows(table, jnp.arange(time) - place, buckets(count, farthest, both=False)).T


def _rows(table: Array, distance: Array, of: np.ndarray) -> Array:
    farthest = len(of) // 2
    return take_rows(table, jnp.asarray(of)[jnp.clip(distance, -farthest, farthest) + farthest])
