# SPDX-License-Identifier: BSD-2-Clause
"""Relative positions in buckets, whose learned numbers are added to the scores of attention."""

import math

import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array
from spago_jax.ops.embedding import take_rows

BUCKETS = 32
FARTHEST = 128


def buckets() -> np.ndarray:
    """The bucket of each distance ``key - query`` from -128 to 128: int[257]; farther ones share the last.

    Half of the 32 are for keys after the query. Of each half the first 8 are for one distance each, and the others
    grow with its logarithm. Source: Raffel et al. (2020), as transformers computes it (in float32).

    >>> buckets()[[128, 127, 120, 118, 0, 129, 256]]
    array([ 0,  1,  8,  8, 15, 17, 31])
    """
    distance = np.arange(-FARTHEST, FARTHEST + 1)
    half, size = BUCKETS // 2, np.abs(distance)
    exact = half // 2
    with np.errstate(divide="ignore"):
        grown = np.log(size.astype(np.float32) / np.float32(exact)) / np.float32(math.log(FARTHEST / exact))
    far = np.where(size < exact, 0, exact + np.maximum(grown, 0) * np.float32(half - exact)).astype(int)
    return np.where(distance > 0, half, 0) + np.where(size < exact, size, np.minimum(far, half - 1))


def relative_bias(table: Array, time: int) -> Array:
    """``table[bucket(j - i)]`` for each query i and key j: [buckets, heads] -> [heads, time, time].

    The rows are taken once per distance and laid along the diagonals, so the gradient is a sum along them.
    """
    if not isinstance(time, int):  # an export's, which is not known: it cannot be sliced by
        places = jnp.arange(time)
        distance = places[None, :] - places[:, None]
        found = jnp.asarray(buckets())[jnp.clip(distance, -FARTHEST, FARTHEST) + FARTHEST]
        return jnp.moveaxis(take_rows(table, found), -1, 0)
    distance = jnp.arange(2 * time) - (time - 1)
    found = jnp.asarray(buckets())[jnp.clip(distance, -FARTHEST, FARTHEST) + FARTHEST]
    by_distance = take_rows(table, found).T  # [heads, 2 * time]
    heads = table.shape[1]
    # The same row over and over, read as rows one number shorter: each starts one place earlier in the original.
    laid = jnp.broadcast_to(by_distance[:, None, :], (heads, time, 2 * time)).reshape(heads, -1)
    return laid[:, : time * (2 * time - 1)].reshape(heads, time, 2 * time - 1)[:, :, time - 1 :]
