# SPDX-License-Identifier: BSD-2-Clause
"""What decoding keeps from token to token."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array
from spago_jax.core.target import target_platform
from spago_jax.ops.linear import accumulation_dtype


class State(NamedTuple):
    """The keys and values of what a decoder has read: its own tokens' and the source's.

    Each layer has arrays of its own, so that a loop on the device writes into them in place. A search that goes on from
    other beams moves none of them: it notes which beam wrote each token, and every beam looks for its own among the
    tokens of all beams of its source. So texts stand in groups, whose members see tokens of one another: the beams of a
    source, or each text for itself.

    Attributes:
        keys: of the tokens, per layer [groups, heads, size, time * members], in ``held_dtype``; in this order a step's
            product of queries and keys runs as it is. The members' tokens at one place stand side by side.
        values: per layer [groups, heads, time * members, size].
        memory_keys: of the source, per layer [batch, heads, source, size]; all beams of a text read the same.
        memory_values: the same.
        mask: bool[batch, source], which tokens of the source are real; None: all.
        position: int, how many tokens have been read.
        writers: int32[batch, beams, time], the beam that wrote the token of each text at each place; None where no beam
            has gone on from another, so that each text is a group.
    """

    keys: tuple[Array, ...]
    values: tuple[Array, ...]
    memory_keys: tuple[Array, ...]
    memory_values: tuple[Array, ...]
    mask: Array | None
    position: Array
    writers: Array | None = None

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

        def room(held: Array, *shape: int) -> Array:
            return jnp.zeros((held.shape[0] * beams, held.shape[1], *shape), held_dtype(held.dtype))

        keys = tuple(room(x, x.shape[-1], length) for x in memory_keys)
        values = tuple(room(x, length, x.shape[-1]) for x in memory_values)
        return cls(keys, values, memory_keys, memory_values, mask, jnp.zeros((), jnp.int32))

    def reorder(self, parents: Array) -> "State":
        """The state in which each beam continues another: int[batch, beams], which one."""
        state = self if self.writers is not None else self._grouped(*parents.shape)
        assert state.writers is not None
        return state._replace(writers=jnp.take_along_axis(state.writers, parents[..., None], axis=1))

    def _grouped(self, batch: int, beams: int) -> "State":
        """The state in which the beams of a source are a group, and each has written its own tokens."""

        def joined(held: tuple[Array, ...], time: int) -> tuple[Array, ...]:
            apart = [jnp.moveaxis(x.reshape(batch, beams, *x.shape[1:]), 1, time + 1) for x in held]
            return tuple(x.reshape(*x.shape[:time], -1, *x.shape[time + 2 :]) for x in apart)

        shape = (batch, beams, self.keys[0].shape[-1])
        writers = jnp.broadcast_to(jnp.arange(beams, dtype=jnp.int32)[:, None], shape)
        return self._replace(keys=joined(self.keys, 3), values=joined(self.values, 2), writers=writers)

    def wrote(self) -> "State":
        """The state in which each beam writes the token at the present place."""
        if self.writers is None:
            return self
        batch, beams, _ = self.writers.shape
        own = jnp.broadcast_to(jnp.arange(beams, dtype=jnp.int32)[:, None], (batch, beams, 1))
        return self._replace(writers=lax.dynamic_update_slice_in_dim(self.writers, own, self.position, axis=2))

    def seen(self) -> Array:
        """What a token at the present place sees: bool[groups or 1, 1, members, time * members]."""
        if self.writers is None:
            return (jnp.arange(self.keys[0].shape[-1]) <= self.position)[None, None, None]
        batch, beams, time = self.writers.shape
        own = self.writers[..., None] == jnp.arange(beams)
        return (own & (jnp.arange(time)[:, None] <= self.position)).reshape(batch, 1, beams, time * beams)


def held_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The dtype in which keys and values of tokens are held: float32 for 16-bit floats on a CPU.

    XLA's CPU backend widens a whole array of such floats to write one row into it, at every token.
    """
    return accumulation_dtype(dtype) if target_platform() == "cpu" else jnp.dtype(dtype)
