# SPDX-License-Identifier: BSD-2-Clause
"""Sinusoidal and axial encodings of positions (Vaswani et al., 2017; Kitaev et al., 2020)."""

import math

import jax
import jax.numpy as jnp

from spago_jax.errors import InputError


def sinusoidal_positions(positions: jax.Array, features: int, *, layout: str = "blocks") -> jax.Array:
    """Sines and cosines of falling frequency: int[...] -> [..., features].

        angle(p, k) = p / 10000^(2 k / features)

    Args:
        positions: from 0.
        features: how many numbers encode a position.
        layout: ``blocks`` has all sines, then all cosines (Marian, spaGO 0.5 on; the sines have one more for odd
            features); ``interleaved`` has a sine and its cosine side by side (the paper; spaGO 0.2).

    Raises:
        InputError: for features below 1 or an unknown layout.

    >>> sinusoidal_positions(jnp.array(1), 4).round(3)
    Array([0.841, 0.01 , 0.54 , 1.   ], dtype=float32)
    """
    if features < 1:
        raise InputError(f"features = {features}: expected 1 or more")
    if layout not in ("blocks", "interleaved"):
        raise InputError(f"layout {layout!r}: expected 'blocks' or 'interleaved'")
    pairs = -(-features // 2)
    rates = jnp.exp(jnp.arange(pairs) * (-2.0 * math.log(10000.0) / features))
    positions = jnp.asarray(positions)
    lead = (1,) * positions.ndim
    angles = positions[..., None].astype(rates.dtype) * rates.reshape(*lead, pairs)
    sines, cosines = jnp.sin(angles), jnp.cos(angles)
    if layout == "blocks":
        return jnp.concatenate([sines, cosines], axis=-1)[..., :features]
    paired = jnp.stack([sines, cosines], axis=-1).reshape(*positions.shape, 2 * pairs)
    if features % 2:  # spaGO 0.2 leaves the last of an odd number at zero
        paired = paired[..., :features].at[..., -1].set(0.0)
    return paired


def axial_positions(positions: jax.Array, features: int, row_features: int, width: int) -> jax.Array:
    """Positions in a grid, the column's encoding beside the row's: int[...] -> [..., features].

        y(p) = [P(p mod width)[: row_features]; P(p div width)[row_features :]]

    spaGO 0.2 divides by the height instead of the width, which is right for square grids alone.

    Args:
        positions: from 0, row by row.
        features: how many numbers encode a position.
        row_features: how many of them encode the column, the place inside a row.
        width: of the grid.

    Raises:
        InputError: for ``row_features`` outside (0, features), or a width below 1.

    >>> axial_positions(jnp.array(5), 4, 2, 4).shape
    (4,)
    """
    if not 0 < row_features < features:
        raise InputError(f"row_features = {row_features}: expected more than 0 and less than features = {features}")
    if width < 1:
        raise InputError(f"width = {width}: expected 1 or more")
    columns = sinusoidal_positions(positions % width, features, layout="interleaved")
    rows = sinusoidal_positions(positions // width, features, layout="interleaved")
    return jnp.concatenate([columns[..., :row_features], rows[..., row_features:]], axis=-1)
