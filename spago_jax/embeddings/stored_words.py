# SPDX-License-Identifier: BSD-2-Clause
"""The device half of words whose vectors lie in a store on disk."""

from collections.abc import Mapping

import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, static


class StoredWords(Module):
    """``x_t = B[n_t]`` while training, with the rows B of the batch's words; else the vectors that the batch holds.

    Training puts the rows into ``block`` before each call of its step, and takes them out after it.
    """

    block: Array
    name: str = static(default="words")

    @classmethod
    def init(cls, features: int, *, name: str = "words") -> "StoredWords":
        """With one row of zeros, for none."""
        return cls(block=jnp.zeros((1, features)), name=name)

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return self.block.shape[1]

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's words, [..., time, features]; zeros for 0."""
        found = batch[self.name]
        if not jnp.issubdtype(found.dtype, jnp.integer):
            return found.astype(self.block.dtype)
        rows = self.block[jnp.maximum(found - 1, 0)]
        return jnp.where((found > 0)[..., None], rows, 0)


class FixedStoredWords(Module):
    """``x_t``, as the batch holds it."""

    features: int = static()
    name: str = static(default="words")

    @property
    def out_features(self) -> int:
        """The length of a vector."""
        return self.features

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The vectors of a batch's words, [..., time, features]."""
        return batch[self.name]
