# SPDX-License-Identifier: BSD-2-Clause
"""FOFE: a sequence of any length as one vector, from which it can be read back (Zhang et al., 2015)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.errors import InputError
from spago_jax.ops.masks import length_mask


def fofe_encode(
    ids: jax.Array, size: int, alpha: float, lengths: jax.Array | None = None, *, reverse: bool = False
) -> jax.Array:
    """The fixed-size ordinally-forgetting encoding after each step: int[..., time] -> [..., time, size].

        z_t = alpha z_(t-1) + onehot(id_t)

    Args:
        ids: which symbol stands at each step.
        size: how many symbols there are.
        alpha: the forgetting factor.
        lengths: int[...]: beyond them the encoding stays as it is.
        reverse: from the last step to the first.

    Raises:
        InputError: for an alpha outside (0, 1), or a size below 1.

    >>> fofe_encode(jnp.array([0, 1, 0]), 2, 0.5)[-1]
    Array([1.25, 0.5 ], dtype=float32)
    """
    if not 0.0 < alpha < 1.0:
        raise InputError(f"alpha = {alpha}: expected more than 0 and less than 1")
    if size < 1:
        raise InputError(f"size = {size}: expected 1 or more")
    hot = jax.nn.one_hot(ids, size)
    real = jnp.ones(ids.shape, bool) if lengths is None else length_mask(lengths, ids.shape[-1])

    def step(z: jax.Array, inputs: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        one, held = inputs
        z = jnp.where(held[..., None], alpha * z + one, z)
        return z, z

    start = jnp.zeros((*ids.shape[:-1], size), hot.dtype)
    _, zs = jax.lax.scan(step, start, (jnp.moveaxis(hot, -2, 0), jnp.moveaxis(real, -1, 0)), reverse=reverse)
    return jnp.moveaxis(zs, 0, -2)


def fofe_decode(alpha: float, encoding: Sequence[float] | np.ndarray, *, limit: int = 1000) -> list[int]:
    """The sequence behind a forward encoding; the inverse of ``fofe_encode(...)[-1]``.

    The largest number belongs to the last symbol: it is taken off, and the rest is divided by alpha. The encoding
    is unique for alpha up to 1/2; it is computed in float64, whose digits limit the length to about 50 at 1/2.
    spaGO's own Decode runs away once rounding leaves a remainder.

    Args:
        alpha: the forgetting factor, in (0, 0.5].
        encoding: [size].
        limit: of the length.

    Raises:
        InputError: for an alpha outside (0, 0.5], or an encoding that no sequence has.

    >>> fofe_decode(0.5, [1.25, 0.5])
    [0, 1, 0]
    """
    if not 0.0 < alpha <= 0.5:
        raise InputError(f"alpha = {alpha}: decoding is unique in (0, 0.5] only")
    z = np.asarray(encoding, np.float64).copy()
    ids: list[int] = []
    noise = 1e-14  # what rounding leaves; it grows by 1 / alpha at each step
    while np.max(np.abs(z), initial=0.0) > min(noise, 0.25):
        found = int(np.argmax(z))
        if z[found] < 1.0 - min(noise, 0.25) or len(ids) == limit:
            raise InputError(f"no sequence has this encoding at alpha = {alpha} (after {len(ids)} symbols)")
        ids.append(found)
        z[found] -= 1.0
        z /= alpha
        noise /= alpha
    return ids[::-1]
