# SPDX-License-Identifier: BSD-2-Clause
"""What decoding keeps from token to token."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.ops.linear import accumulation_dtype


class State(NamedTuple):
    """The keys and values of what a decoder has read: its own tokens' and the source's.

    Each layer has arrays of its own, so that a loop on the device writes into them in place.

    Attributes:
        keys: of the tokens, per layer [batch, beams, heads, time, size], in ``held_dtype``.
        values: the same.
        memory_keys: of the source, per layer [batch, heads, source, size]; all beams of a text read the same.
        memory_values: the same.
        mask: bool[batch, source], which tokens of the source are real; None: all.
        position: int, how many tokens have been read.
    """

    keys: tuple[Array, ...]
    values: tuple[Array, ...]
    memory_keys: tuple[Array, ...]
    memory_values: tuple[Array, ...]
    mask: Array | None
    position: Array

    @classmethod
    def empty(
        cls,
        memory_keys: tuple[Array, ...],
        memory_values: tuple[Array, ...],
        mask: Array | None = None,
        *,
        beams: int,
        length: int,
    ) -> "State":
        """The state before the first token, with room for so many.

        Args:
            memory_keys: see above.
            memory_values: see above.
            mask: see above.
            beams: how many texts are written at a time for each source.
            length: how many tokens each may have.
        """

        def room(held: tuple[Array, ...]) -> tuple[Array, ...]:
            dtype = held_dtype(held[0].dtype)
            return tuple(jnp.zeros((x.shape[0], beams, x.shape[1], length, x.shape[3]), dtype) for x in held)

        start = jnp.zeros((), jnp.int32)
        return cls(room(memory_keys), room(memory_values), memory_keys, memory_values, mask, start)

    def reorder(self, parents: Array) -> "State":
        """The state in which each beam continues another: int[batch, beams], which one."""
        rows = jnp.arange(parents.shape[0])[:, None]

        def moved(held: Array) -> Array:
            return held.at[rows, parents].get(mode="promise_in_bounds")

        return self._replace(keys=tuple(map(moved, self.keys)), values=tuple(map(moved, self.values)))


def held_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype in which keys and values of tokens are held: float32 for 16-bit floats on a CPU.

    XLA's CPU backend widens a whole array of such floats to write one row into it, at every token.
    """
    return accumulation_dtype(dtype) if jax.default_backend() == "cpu" else jnp.dtype(dtype)
