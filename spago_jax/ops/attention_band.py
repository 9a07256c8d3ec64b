# SPDX-License-Identifier: BSD-2-Clause
"""Attention within a window, laid out as blocks: its memory grows with the steps, not with their square."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Band(NamedTuple):
    """Queries in blocks, each with the keys and values of its own block and of the two beside it.

    Attributes:
        query: [..., blocks, block, features].
        key: [..., blocks, 3 * block, features].
        value: [..., blocks, 3 * block, out].
        mask: bool[..., blocks, block, 3 * block], what each query sees.
    """

    query: jax.Array
    key: jax.Array
    value: jax.Array
    mask: jax.Array


def band_pays(query: jax.Array, key: jax.Array, mask: jax.Array | None, window: int) -> bool:
    """Whether a band of blocks computes less than half of the scores, and can: as many queries as keys, no 2-d mask."""
    time = query.shape[-2]
    if not isinstance(time, int) or time != key.shape[-2] or (mask is not None and jnp.shape(mask)[-2:-1] != (1,)):
        return False
    return time > 6 * _block(window)


def band(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    *,
    window: int,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    segments: jax.Array | None = None,
) -> Band:
    """The blocks of attention in which a query sees the keys at most ``window`` steps away.

    Args:
        query: [..., time, features].
        key: [..., time, features].
        value: [..., time, out].
        window: how far a query sees to each side.
        lengths: int[...], how many keys are real, for the first of the leading axes.
        mask: bool, broadcastable to [..., 1, time]: which keys may be seen.
        segments: int[..., time], for the first of the leading axes; 0 is padding.

    >>> x = jnp.arange(8.0)[:, None]
    >>> band(x, x, x, window=16).key.shape
    (1, 48, 1)
    """
    time, rank, block = query.shape[-2], query.ndim, _block(window)
    count = -(-time // block)
    places = jnp.arange(count * block)

    def lifted(x: jax.Array) -> jax.Array:
        """[..., time] for the first of the leading axes -> [..., time] of the rank of the scores less one."""
        return x.reshape(*x.shape[:-1], *(1,) * (rank - 1 - x.ndim), x.shape[-1])

    # 0 is padding: before the first step, after the last, and what the caller says.
    owner = jnp.where(places < time, 1, 0).reshape((1,) * (rank - 2) + (-1,))
    if segments is not None:
        owner = owner * _padded(lifted(jnp.asarray(segments)), -1, 0, count * block - time)
    if lengths is not None:
        real = places < jnp.asarray(lengths)[..., None]
        owner = jnp.where(lifted(real), owner, 0)
    if mask is not None:
        seen = jnp.asarray(mask)
        seen = seen.reshape((1,) * (rank - seen.ndim) + seen.shape)[..., 0, :]
        owner = jnp.where(_padded(seen, -1, 0, count * block - time), owner, 0)
    of_keys = _beside(owner[..., None], block, count)[..., 0]
    distance = jnp.arange(3 * block)[None, :] - block - jnp.arange(block)[:, None]
    allowed = (jnp.abs(distance) <= window) & (of_keys != 0)[..., None, :]
    if segments is not None:
        of_queries = owner.reshape(*owner.shape[:-1], count, block)
        allowed = allowed & (of_queries[..., :, None] == of_keys[..., None, :])
    padded = _padded(query, -2, 0, count * block - time)
    return Band(
        padded.reshape(*query.shape[:-2], count, block, query.shape[-1]),
        _beside(_padded(key, -2, 0, count * block - time), block, count),
        _beside(_padded(value, -2, 0, count * block - time), block, count),
        allowed,
    )


def unband(y: jax.Array, time: int) -> jax.Array:
    """[..., blocks, block, out] -> [..., time, out]."""
    return y.reshape(*y.shape[:-3], -1, y.shape[-1])[..., :time, :]


def _block(window: int) -> int:
    return max(int(window), 16)


def _beside(x: jax.Array, block: int, count: int) -> jax.Array:
    """[..., count * block, n] -> [..., count, 3 * block, n]: each block between its neighbors, zeros at the ends."""
    x = _padded(x, -2, block, block)
    x = x.reshape(*x.shape[:-2], count + 2, block, x.shape[-1])
    return jnp.concatenate([x[..., :-2, :, :], x[..., 1:-1, :, :], x[..., 2:, :, :]], axis=-2)


def _padded(x: jax.Array, axis: int, before: int, after: int) -> jax.Array:
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths)
