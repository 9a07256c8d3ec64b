# SPDX-License-Identifier: BSD-2-Clause
"""Keys and values that were computed before: of the past in self-attention, of the other side in cross-attention."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, Module, buffer
from spago_jax.nn.sizes import check_sizes


class KeyValueCache(Module):
    """Room for ``size`` steps of keys and values, of which the first ``length`` are in use: static shapes.

    ``keys`` [..., size, features], ``values`` [..., size, out], ``length`` int32[...], one for each sequence.

    >>> cache = KeyValueCache.empty((), 4, 2, 3).append(jnp.ones((3, 2)), jnp.ones((3, 3)))
    >>> int(cache.length), cache.keys[:, 0]
    (3, Array([1., 1., 1., 0.], dtype=float32))
    """

    keys: Array = buffer()
    values: Array = buffer()
    length: Array = buffer()

    @classmethod
    def empty(
        cls, lead: tuple[int, ...], size: int, key_features: int, value_features: int, dtype: DTypeLike = jnp.float32
    ) -> "KeyValueCache":
        """Zeros for sequences with those leading axes.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("KeyValueCache", size=size, key_features=key_features, value_features=value_features)
        return cls(
            keys=jnp.zeros((*lead, size, key_features), dtype),
            values=jnp.zeros((*lead, size, value_features), dtype),
            length=jnp.zeros(lead, jnp.int32),
        )

    @property
    def size(self) -> int:
        """How many steps fit."""
        return self.keys.shape[-2]

    def append(self, keys: Array, values: Array, lengths: Array | None = None) -> "KeyValueCache":
        """With [..., time, features] and [..., time, out] after what is there.

        Of each sequence the first ``lengths`` new steps count, or all. What does not fit is dropped (shapes are static
        and a compiled program cannot raise), so make the cache as long as the longest output.
        """
        time = keys.shape[-2]
        places = self.length[..., None] + jnp.arange(time, dtype=jnp.int32).reshape((1,) * self.length.ndim + (-1,))
        added = jnp.asarray(time if lengths is None else lengths, jnp.int32)
        return KeyValueCache(
            keys=_put(self.keys, keys, places),
            values=_put(self.values, values, places),
            length=self.length + added,
        )


def _put(held: Array, new: Array, places: Array) -> Array:
    """The rows of ``new`` at their places; those beyond the end are dropped."""
    flat = held.reshape(-1, *held.shape[-2:])
    rows = new.astype(held.dtype).reshape(-1, *new.shape[-2:])

    def one(held: Array, rows: Array, places: Array) -> Array:
        return held.at[places].set(rows, mode="drop")

    return jax.vmap(one)(flat, rows, places.reshape(-1, places.shape[-1])).reshape(held.shape)
