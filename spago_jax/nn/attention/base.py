# SPDX-License-Identifier: BSD-2-Clause
"""What all attention layers over keys and values do: over a sequence itself, over a memory, and over a growing past."""

import abc
from typing import Any

import jax.numpy as jnp
from jax.typing import DTypeLike

from spago_jax.core import Array, Module, Rng
from spago_jax.nn.attention.kv_cache import KeyValueCache
from spago_jax.ops.linear import float_dtype
from spago_jax.ops.masks import check_lengths, zero_padding


class Attention(Module, abc.ABC):
    """Attention given how a layer projects its inputs and combines queries, keys and values."""

    @abc.abstractmethod
    def project_query(self, x: Array) -> Array:
        """[..., time, in] -> [..., time, keys]."""

    @abc.abstractmethod
    def project_memory(self, x: Array) -> tuple[Array, Array]:
        """[..., time, in] -> keys [..., time, keys] and values [..., time, out]."""

    def project_all(self, x: Array) -> tuple[Array, Array, Array]:
        """[..., time, in] -> query, keys and values."""
        return self.project_query(x), *self.project_memory(x)

    @abc.abstractmethod
    def combine(self, query: Array, keys: Array, values: Array, rng: Rng | None = None, **seen: Any) -> Array:
        """Projected arrays to outputs [..., time, out]; ``seen`` is ``causal``, ``offset`` and ``lengths``."""

    @abc.abstractmethod
    def is_causal(self) -> bool:
        """Whether a step sees no later ones in self-attention."""

    @abc.abstractmethod
    def cache_features(self) -> tuple[int, int]:
        """The sizes of keys and values in a cache."""

    @abc.abstractmethod
    def __call__(self, *inputs: Any, **options: Any) -> Array:
        """[..., time, in] -> [..., time, out]; what else a layer takes, its own class says."""

    def attend(
        self,
        x: Array,
        lengths: Array | None = None,
        *,
        memory: Array | None = None,
        memory_lengths: Array | None = None,
        rng: Rng | None = None,
    ) -> Array:
        """Self-attention over ``x``, or cross-attention from ``x`` to a memory.

        Args:
            x: [..., time, in].
            lengths: int[...], the real steps of ``x``.
            memory: [..., other, in]; None is ``x`` itself.
            memory_lengths: int[...], the real steps of the memory.
            rng: for dropout, or None in inference.

        Returns:
            [..., time, out].

        Raises:
            InputError: for lengths that are not one for each sequence.
        """
        if memory is not None:
            return self.recall(x, self.remember(memory, memory_lengths), rng=rng)
        check_lengths(lengths, x)
        query, keys, values = self.project_all(zero_padding(x, lengths))
        return self.combine(query, keys, values, rng, causal=self.is_causal(), lengths=lengths)

    def initial_cache(self, lead: tuple[int, ...], size: int, dtype: DTypeLike = jnp.float32) -> KeyValueCache:
        """An empty cache for ``size`` steps of sequences with those leading axes."""
        return KeyValueCache.empty(lead, size, *self.cache_features(), float_dtype(dtype, self))

    def step(self, x: Array, cache: KeyValueCache, lengths: Array | None = None) -> tuple[Array, KeyValueCache]:
        """The next steps of self-attention: [..., time, in] after what the cache holds.

        The first call may be a whole prompt, with its ``lengths``, and each later one a single step; the causal mask
        counts from the cache's own length.
        """
        check_lengths(lengths, x)
        query, keys, values = self.project_all(zero_padding(x, lengths))
        new = cache.append(keys, values, lengths)
        y = self.combine(
            query, new.keys, new.values, None, causal=self.is_causal(), offset=cache.length, lengths=new.length
        )
        return y, new

    def remember(self, memory: Array, lengths: Array | None = None) -> KeyValueCache:
        """The keys and values of a memory [..., other, in], computed once for all steps that ask for it."""
        check_lengths(lengths, memory, "the memory")
        keys, values = self.project_memory(zero_padding(memory, lengths))
        counts = jnp.full(keys.shape[:-2], keys.shape[-2]) if lengths is None else jnp.asarray(lengths)
        return KeyValueCache(keys=keys, values=values, length=counts.astype(jnp.int32))

    def recall(self, x: Array, memory: KeyValueCache, *, rng: Rng | None = None) -> Array:
        """Cross-attention from [..., time, in] to what was remembered."""
        return self.combine(self.project_query(x), memory.keys, memory.values, rng, lengths=memory.length)
