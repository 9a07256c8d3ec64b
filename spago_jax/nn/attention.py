# SPDX-License-Identifier: BSD-2-Clause
"""Attention with one head and its uses: over itself, over a memory, and over a growing past."""

from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, static
from spago_jax.errors import InputError
from spago_jax.nn.kv_cache import KeyValueCache
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.attention import scaled_dot_product_attention
from spago_jax.ops.masks import zero_padding


class Attention(Module):
    """What all attention layers do, given how they project and combine; not a layer by itself."""

    def project_query(self, x: Array) -> Array:
        """[..., time, in] -> [..., time, keys]."""
        raise NotImplementedError

    def project_memory(self, x: Array) -> tuple[Array, Array]:
        """[..., time, in] -> keys [..., time, keys] and values [..., time, out]."""
        raise NotImplementedError

    def project_all(self, x: Array) -> tuple[Array, Array, Array]:
        """[..., time, in] -> query, keys and values."""
        return self.project_query(x), *self.project_memory(x)

    def combine(self, query: Array, keys: Array, values: Array, rng: Rng | None = None, **seen: Any) -> Array:
        """Projected arrays to outputs [..., time, out]; ``seen`` is ``causal``, ``offset`` and ``lengths``."""
        raise NotImplementedError

    def is_causal(self) -> bool:
        """Whether a step sees no later ones in self-attention."""
        raise NotImplementedError

    def cache_features(self) -> tuple[int, int]:
        """The sizes of keys and values in a cache."""
        raise NotImplementedError

    def __call__(
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
        _check_lengths(lengths, x)
        query, keys, values = self.project_all(zero_padding(x, lengths))
        return self.combine(query, keys, values, rng, causal=self.is_causal(), lengths=lengths)

    def initial_cache(self, lead: tuple[int, ...], size: int, dtype: Any = jnp.float32) -> KeyValueCache:
        """An empty cache for ``size`` steps of sequences with those leading axes."""
        return KeyValueCache.empty(lead, size, *self.cache_features(), dtype)

    def step(self, x: Array, cache: KeyValueCache, lengths: Array | None = None) -> tuple[Array, KeyValueCache]:
        """The next steps of self-attention: [..., time, in] after what the cache holds.

        The first call may be a whole prompt, with its ``lengths``, and each later one a single step; the causal mask
        counts from the cache's own length.
        """
        _check_lengths(lengths, x)
        query, keys, values = self.project_all(zero_padding(x, lengths))
        new = cache.append(keys, values, lengths)
        y = self.combine(
            query, new.keys, new.values, None, causal=self.is_causal(), offset=cache.length, lengths=new.length
        )
        return y, new

    def remember(self, memory: Array, lengths: Array | None = None) -> KeyValueCache:
        """The keys and values of a memory [..., other, in], computed once for all steps that ask for it."""
        _check_lengths(lengths, memory)
        keys, values = self.project_memory(zero_padding(memory, lengths))
        counts = jnp.full(keys.shape[:-2], keys.shape[-2]) if lengths is None else jnp.asarray(lengths)
        return KeyValueCache(keys=keys, values=values, length=counts.astype(jnp.int32))

    def recall(self, x: Array, memory: KeyValueCache, *, rng: Rng | None = None) -> Array:
        """Cross-attention from [..., time, in] to what was remembered."""
        return self.combine(self.project_query(x), memory.keys, memory.values, rng, lengths=memory.length)


class SelfAttention(Attention):
    """One head, ``softmax(scale q k') v`` with ``q = W_q x + b_q`` and so on: [..., time, in] -> [..., time, out].

    Given ``memory=`` it is cross-attention; ``step`` and a cache serve generation. Source: Vaswani et al. (2017);
    spaGO nn/attention/selfattention, whose causal mask is wrong for several queries after a cache.

    >>> layer = SelfAttention.init(jax.random.key(0), 4, key_features=3, out_features=2, causal=True)
    >>> layer(jnp.ones((5, 4))).shape
    (5, 2)
    """

    query: Linear
    key: Linear
    value: Linear
    scale: float = static(default=1.0)
    causal: bool = static(default=False)

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        *,
        key_features: int,
        out_features: int,
        scale: float | None = None,
        causal: bool = False,
    ) -> "SelfAttention":
        """Xavier-uniform weights, biases of zeros; ``scale`` is ``key_features ** -0.5`` if None.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes("SelfAttention", in_features=in_features, key_features=key_features, out_features=out_features)
        keys = jax.random.split(key, 3)
        return cls(
            query=Linear.init(keys[0], in_features, key_features),
            key=Linear.init(keys[1], in_features, key_features),
            value=Linear.init(keys[2], in_features, out_features),
            scale=key_features**-0.5 if scale is None else float(scale),
            causal=causal,
        )

    def project_query(self, x: Array) -> Array:
        """[..., time, in] -> [..., time, keys]."""
        return self.query(x)

    def project_memory(self, x: Array) -> tuple[Array, Array]:
        """[..., time, in] -> keys [..., time, keys] and values [..., time, out]."""
        return self.key(x), self.value(x)

    def combine(self, query: Array, keys: Array, values: Array, rng: Rng | None = None, **seen: Any) -> Array:
        """Projected arrays to outputs [..., time, out]."""
        y = scaled_dot_product_attention(query, keys.astype(query.dtype), values, scale=self.scale, **seen)
        return y.astype(query.dtype)

    def is_causal(self) -> bool:
        """Whether a step sees no later ones."""
        return self.causal

    def cache_features(self) -> tuple[int, int]:
        """The sizes of keys and values."""
        return self.key.weight.shape[0], self.value.weight.shape[0]


class CrossAttention(SelfAttention):
    """A :class:`SelfAttention` over something else: [..., query, in], [..., key, in] -> [..., query, out].

    ``y = softmax(scale q k') v``, q of ``x``, k and v of ``memory``: ``cross(x, memory, memory_lengths)``. Source:
    Vaswani et al. (2017); spaGO nn/attention/selfattention.

    >>> layer = CrossAttention.init(jax.random.key(0), 4, key_features=3, out_features=2)
    >>> layer(jnp.ones((5, 4)), jnp.ones((7, 4))).shape
    (5, 2)
    """

    def __call__(  # type: ignore[override]
        self, x: Array, memory: Array, memory_lengths: Array | None = None, *, rng: Rng | None = None
    ) -> Array:
        """[..., time, in], [..., other, in] and int[...] -> [..., time, out]."""
        return self.recall(x, self.remember(memory, memory_lengths), rng=rng)


def _check_lengths(lengths: Array | None, x: Array) -> None:
    if lengths is not None and tuple(jnp.shape(lengths)) != tuple(x.shape[:-2]):
        raise InputError(
            f"lengths have shape {tuple(jnp.shape(lengths))}, expected {tuple(x.shape[:-2])}: one for each sequence in "
            f"x of shape {tuple(x.shape)}"
        )
