# SPDX-License-Identifier: BSD-2-Clause
"""Texts that are longer than an encoder reads, in windows that overlap by half."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax.core import max_dim, min_dim

from spago_jax.core import Array


def read_in_windows(read: Callable[[Array, Array], Array], ids: Array, lengths: Array, size: int) -> Array:
    """Returns the states of texts of any length, each piece's from the window that it stands farthest from the ends of.

    A window has ``size`` places, of which the first and the last are the special pieces of a text's ends. Each window
    begins ``size - 2 - size // 2`` pieces after the one before, and its first and last ``size // 4`` pieces are taken
    from its neighbors, as in Flair's ``allow_long_sentences``. Where ``size`` is not a multiple of 4, Flair may read a
    piece twice where two windows meet; here it is read once.

    Args:
        read: the encoder, from int[..., time] and int[...] to [..., time, hidden].
        ids: int[..., time], one special piece at each end of a text.
        lengths: int[...], the special pieces among them.
        size: the most that ``read`` takes.

    >>> lengths_of = lambda ids, lengths: jnp.broadcast_to(lengths[..., None, None], (*ids.shape, 1))
    >>> read_in_windows(lengths_of, jnp.arange(14)[None], jnp.array([14]), 8)[0, :, 0].tolist()
    [8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
    """
    time = ids.shape[-1]
    if isinstance(time, int) and time <= size:
        return read(ids, lengths)
    room, outer = size - 2, size // 4
    step = room - size // 2
    count = max_dim(1, (time - 3 - room) // step + 2)  # a window more for each step that is begun beyond the first
    width = min_dim(time, size)
    held = jnp.maximum(lengths - 2, 0)  # pieces of the text alone
    last = jnp.maximum(-((room - held) // step), 0)[..., None]
    number = jnp.arange(count)
    own = jnp.where(number <= last, jnp.minimum(held[..., None] - number * step, room) + 2, 0)
    own = jnp.where(lengths[..., None] > 0, own, 0)
    place = jnp.arange(width)
    windows = jnp.take(ids, number[:, None] * step + place, axis=-1, mode="clip")
    ends = jnp.take_along_axis(ids, jnp.maximum(lengths - 1, 0)[..., None], axis=-1)[..., None]
    windows = jnp.where(place == 0, ids[..., :1, None], windows)
    windows = jnp.where(place == own[..., None] - 1, ends, windows)
    states: Any = read(windows, own)
    flat = states.reshape(*states.shape[:-3], count * width, states.shape[-1])
    piece = jnp.arange(time) - 1
    window = jnp.clip((piece - outer) // step, 0, last)
    found = window * width + piece - window * step + 1
    return jnp.take_along_axis(flat, found[..., None], axis=-2, mode="clip")
