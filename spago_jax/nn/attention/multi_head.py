# SPDX-License-Identifier: BSD-2-Clause
"""Multi-head attention with one matrix for queries, keys and values."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Rng, param, static
from spago_jax.core.initializers import blocks, xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.attention.base import Attention
from spago_jax.nn.attention.one_head import SelfAttention
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.attention import scaled_dot_product_attention
from spago_jax.ops.dropout import check_rate
from spago_jax.ops.linear import linear


class MultiHeadAttention(Attention):
    """Several heads side by side, ``y = W_o [head_1; ...; head_h] + b_o``: [..., time, features], kept.

    ``weight`` [3 * heads * k, features] and ``bias`` hold queries, keys and values one under the other, the heads of
    each in order: PyTorch's ``in_proj_weight``. Called with ``memory=`` it is cross-attention; ``initial_cache`` and
    ``step`` generate with a past of static size; ``remember`` and ``recall`` compute a memory's keys and values once.
    ``implementation`` is as in :func:`spago_jax.ops.attention.scaled_dot_product_attention`. Source: Vaswani et al.
    (2017); spaGO nn/attention/multiheadattention, which keeps a matrix per head: see :meth:`from_heads`.

    >>> layer = MultiHeadAttention.init(jax.random.key(0), 8, heads=2, causal=True)
    >>> whole = layer(jnp.eye(8)[:3])
    >>> cache = layer.initial_cache((), 16)
    >>> prompt, cache = layer.step(jnp.eye(8)[:2], cache)
    >>> last, cache = layer.step(jnp.eye(8)[2:3], cache)
    >>> bool(jnp.allclose(last[0], whole[2], atol=1e-6)), int(cache.length)
    (True, 3)
    """

    weight: Array
    output: Linear
    bias: Array | None = param(decay=False, default=None)
    heads: int = static(default=1)
    causal: bool = static(default=False)
    rate: float = static(default=0.0)
    implementation: str | None = static(default=None)

    @classmethod
    def init(
        cls,
        key: Array,
        features: int,
        heads: int,
        *,
        head_features: int | None = None,
        causal: bool = False,
        bias: bool = True,
        rate: float = 0.0,
        implementation: str | None = None,
    ) -> "MultiHeadAttention":
        """Xavier-uniform weights (queries, keys and values each for themselves), biases of zeros.

        Args:
            key: of the weights.
            features: of an input and an output.
            heads: how many.
            head_features: k; ``features / heads`` if None.
            causal: whether a step sees no later ones.
            bias: whether there are biases.
            rate: of dropout on the attention weights.
            implementation: of the attention.

        Raises:
            InputError: for a size below 1, or heads that do not divide the features where k is not given.
        """
        check_sizes("MultiHeadAttention", features=features, heads=heads)
        if head_features is None and features % heads:
            raise InputError(
                f"MultiHeadAttention: {heads} heads do not divide {features} features; give head_features, "
                f"for example {max(features // heads, 1)}"
            )
        size = features // heads if head_features is None else head_features
        check_sizes("MultiHeadAttention", head_features=size)
        first, second = jax.random.split(key)
        return cls(
            weight=blocks(first, 3, lambda k: xavier_uniform(k, (heads * size, features))),
            bias=jnp.zeros(3 * heads * size) if bias else None,
            output=Linear.init(second, heads * size, features, bias=bias),
            heads=heads,
            causal=causal,
            rate=check_rate(rate),
            implementation=implementation,
        )

    @classmethod
    def from_heads(
        cls, heads: Sequence[SelfAttention], output: Linear, *, causal: bool = False
    ) -> "MultiHeadAttention":
        """One layer from single heads with biases, as spaGO stores them.

        Raises:
            InputError: for no heads, or heads whose queries, keys and values are not of one size.
        """
        if not heads:
            raise InputError("MultiHeadAttention.from_heads: no heads were given")
        parts = [[getattr(head, name) for head in heads] for name in ("query", "key", "value")]
        shapes = {tuple(layer.weight.shape) for part in parts for layer in part}
        if len(shapes) > 1:
            raise InputError(f"MultiHeadAttention.from_heads: weights of shapes {sorted(shapes)}, expected one shape")
        return cls(
            weight=jnp.concatenate([layer.weight for part in parts for layer in part]),
            bias=jnp.concatenate([layer.bias for part in parts for layer in part]),
            output=output,
            heads=len(heads),
            causal=causal,
        )

    @property
    def head_features(self) -> int:
        """The size of a head."""
        return self.weight.shape[0] // (3 * self.heads)

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

    def project_query(self, x: Array) -> Array:
        """[..., time, features] -> [..., time, heads * k]."""
        return self._project(x, 0, 1)[0]

    def project_memory(self, x: Array) -> tuple[Array, Array]:
        """[..., time, features] -> keys and values [..., time, heads * k]."""
        keys, values = self._project(x, 1, 3)
        return keys, values

    def project_all(self, x: Array) -> tuple[Array, Array, Array]:
        """[..., time, features] -> query, keys and values [..., time, heads * k], by one product."""
        query, keys, values = self._project(x, 0, 3)
        return query, keys, values

    def combine(self, query: Array, keys: Array, values: Array, rng: Rng | None = None, **seen: Any) -> Array:
        """Projected arrays to outputs [..., time, features]."""
        y = scaled_dot_product_attention(
            self._split(query),
            self._split(keys.astype(query.dtype)),
            self._split(values.astype(query.dtype)),
            rate=self.rate,
            rng=None if rng is None else rng["weights"],
            implementation=self.implementation,
            **seen,
        )
        return self.output(y.swapaxes(-2, -3).reshape(query.shape))

    def is_causal(self) -> bool:
        """Whether a step sees no later ones."""
        return self.causal

    def cache_features(self) -> tuple[int, int]:
        """The sizes of keys and values."""
        return self.heads * self.head_features, self.heads * self.head_features

    def _project(self, x: Array, first: int, last: int) -> list[Array]:
        size = self.weight.shape[0] // 3
        rows = slice(first * size, last * size)
        y = linear(x, self.weight[rows], None if self.bias is None else self.bias[rows])
        return jnp.split(y, last - first, axis=-1)

    def _split(self, x: Array) -> Array:
        """[..., time, heads * k] -> [..., heads, time, k]."""
        return x.reshape(*x.shape[:-1], self.heads, x.shape[-1] // self.heads).swapaxes(-2, -3)
