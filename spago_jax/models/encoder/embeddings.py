# SPDX-License-Identifier: BSD-2-Clause
"""Words, positions and token types to the input of the first layer."""

import jax
import jax.numpy as jnp
from jax import lax

from spago_jax.core import Array, Module, Rng, child, static
from spago_jax.core.initializers import normal
from spago_jax.errors import InputError
from spago_jax.models.encoder.config import EncoderConfig
from spago_jax.models.execution import Execution
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.ops.dropout import dropout
from spago_jax.ops.embedding import take_rows


class Embeddings(Module):
    """``LN(word[id] + position[i] + type[t])``, projected where words are smaller than states: int[..., time].

    Source: Devlin et al. (2019); spaGO v0.7.0 nlp/transformers/bert.
    """

    words: Array
    positions: Array
    types: Array | None
    norm: LayerNorm
    projection: Linear | None
    config: EncoderConfig = static()

    @classmethod
    def init(cls, key: Array, config: EncoderConfig) -> "Embeddings":
        """Normal numbers of the config's range, zeros for the pad's rows."""
        keys = jax.random.split(key, 4)
        std, size = config.initializer_range, config.word_size
        words = normal(keys[0], (config.vocabulary, size), std)
        positions = normal(keys[1], (config.positions, size), std)
        if config.padding is not None:
            words = words.at[config.padding].set(0.0)
        if config.count_from is not None:
            positions = positions.at[config.count_from].set(0.0)
        projection = None
        if config.projects:
            weight = normal(keys[3], (config.hidden, size), std)
            projection = Linear(weight=weight, bias=jnp.zeros(config.hidden))
        return cls(
            words=words,
            positions=positions,
            types=normal(keys[2], (config.types, size), std) if config.types else None,
            norm=LayerNorm.init(size, eps=config.eps),
            projection=projection,
            config=config,
        )

    def __call__(
        self,
        ids: Array,
        *,
        types: Array | None = None,
        positions: Array | None = None,
        segments: Array | None = None,
        rng: Rng | None = None,
        how: Execution | None = None,
    ) -> Array:
        """int[..., time] -> [..., time, hidden].

        Raises:
            InputError: for ids that are not integers, for more tokens than there are positions, and for token types
                where the model knows none.
        """
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise InputError(f"token ids have dtype {ids.dtype}, expected integers")
        how = how or Execution()
        x = rows_of(self.words, ids, self.config.padding)
        if self.types is not None:
            x = x + (self.types[0] if types is None else take_rows(self.types, types))
        elif types is not None:
            raise InputError(f"{self.config.architecture} has no token types; leave `types` out")
        x = x + self._positions(ids, positions, segments)
        x = how.settle(self.norm(how.settle(x)))
        x = dropout(x, self.config.dropout, child(rng, "embeddings"))
        return x if self.projection is None else how.settle(self.projection(x))

    def _positions(self, ids: Array, positions: Array | None, segments: Array | None) -> Array:
        time, longest, first = ids.shape[-1], self.config.longest, self.config.count_from
        if positions is None and segments is None and isinstance(time, int) and time > longest:
            raise InputError(
                f"{time} tokens, and {self.config.architecture} has positions for {longest}: cut the text, or read it "
                "in windows"
            )
        if positions is None and segments is None and first is None:
            # The size of an export is not known, and cannot be compared with the table's.
            return self.positions[:time] if isinstance(time, int) else take_rows(self.positions, jnp.arange(time))
        if positions is None:
            positions = places(ids, first, segments)
        return rows_of(self.positions, positions, first)


def rows_of(table: Array, ids: Array, fixed: int | None) -> Array:
    """Rows of a table, of which one gets no gradient."""
    rows = take_rows(table, ids)
    return rows if fixed is None else jnp.where((ids == fixed)[..., None], lax.stop_gradient(rows), rows)


def places(ids: Array, count_from: int | None = None, segments: Array | None = None) -> Array:
    """The position of each token int[..., time]; in a packed row it starts again with each text.

    Args:
        ids: int[..., time].
        count_from: None to count from 0 by place; a pad id to count the tokens that are not pads from one above it, and
            to give pads the id itself.
        segments: int[..., time], which text of a packed row each token belongs to.

    >>> places(jnp.array([5, 6, 7, 8]), segments=jnp.array([1, 1, 2, 0]))
    Array([0, 1, 0, 0], dtype=int32)
    >>> places(jnp.array([5, 6, 1, 8]), 1)
    Array([2, 3, 1, 4], dtype=int32)
    """
    counted = jnp.ones(ids.shape, jnp.int32) if count_from is None else (ids != count_from).astype(jnp.int32)
    count = jnp.cumsum(counted, axis=-1, dtype=jnp.int32)
    if segments is not None:
        before = count - counted
        starts = jnp.concatenate(
            [jnp.ones_like(segments[..., :1], bool), segments[..., 1:] != segments[..., :-1]], axis=-1
        )
        count = count - lax.cummax(jnp.where(starts, before, 0), axis=count.ndim - 1)
    return count - 1 if count_from is None else count * counted + count_from
