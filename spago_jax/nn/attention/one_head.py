# SPDX-License-Identifier: BSD-2-Clause
"""Attention with one head: over a sequence itself, and over something else."""

from typing import Any, Self

import jax

from spago_jax.core import Array, Rng, static
from spago_jax.nn.attention.base import Attention
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.attention import scaled_dot_product_attention


class OneHead(Attention):
    """``softmax(scale q k') v``, where q, k and v are affine in the inputs."""

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
    ) -> Self:
        """Xavier-uniform weights, biases of zeros; ``scale`` is ``key_features ** -0.5`` if None.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes(cls.__name__, in_features=in_features, key_features=key_features, out_features=out_features)
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


class SelfAttention(OneHead):
    """One head, ``softmax(scale q k') v`` with ``q = W_q x + b_q`` and so on: [..., time, in] -> [..., time, out].

    Given ``memory=`` it is cross-attention; ``step`` and a cache serve generation. Source: Vaswani et al. (2017);
    spaGO nn/attention/selfattention, whose causal mask is wrong for several queries after a cache.

    >>> layer = SelfAttention.init(jax.random.key(0), 4, key_features=3, out_features=2, causal=True)
    >>> layer(jnp.ones((5, 4))).shape
    (5, 2)
    """

    def __call__(
        self,
        x: Array,
        lengths: Array | None = None,
        *,
        memory: Array | None = None,
        memory_lengths: Array | None = None,
        rng: Rng | None = None,
    ) -> Array:
        """[..., time, in] and int[...] -> [..., time, out]; see ``Attention.attend``."""
        return self.attend(x, lengths, memory=memory, memory_lengths=memory_lengths, rng=rng)


class CrossAttention(OneHead):
    """One head over something else: [..., query, in], [..., key, in] -> [..., query, out].

    ``y = softmax(scale q k') v``, q of ``x``, k and v of ``memory``: ``cross(x, memory, memory_lengths)``. Source:
    Vaswani et al. (2017); spaGO nn/attention/selfattention.

    >>> layer = CrossAttention.init(jax.random.key(0), 4, key_features=3, out_features=2)
    >>> layer(jnp.ones((5, 4)), jnp.ones((7, 4))).shape
    (5, 2)
    """

    def __call__(
        self, x: Array, memory: Array, memory_lengths: Array | None = None, *, rng: Rng | None = None
    ) -> Array:
        """[..., time, in], [..., other, in] and int[...] -> [..., time, out]."""
        return self.recall(x, self.remember(memory, memory_lengths), rng=rng)
