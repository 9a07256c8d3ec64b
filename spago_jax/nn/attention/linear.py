# SPDX-License-Identifier: BSD-2-Clause
"""Attention in linear time."""

import jax

from spago_jax.core import Array, Module, static
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import activation as function_of
from spago_jax.ops.activations import parse_activation
from spago_jax.ops.attention import linear_attention
from spago_jax.ops.masks import zero_padding


class LinearAttention(Module):
    """``y = (phi(q)' sum_k phi(k) v') / (phi(q)' sum_k phi(k))``: [..., time, in] -> [..., time, out].

    ``query``, ``key`` and ``value`` are affine layers; phi is ``elu(x) + 1``. Source: Katharopoulos et al.,
    "Transformers are RNNs" (2020); spaGO v0.7.0 LinearAttention.

    >>> layer = LinearAttention.init(jax.random.key(0), 4, key_features=3, out_features=2)
    >>> layer(jax.numpy.ones((5, 4))).shape
    (5, 2)
    """

    query: Linear
    key: Linear
    value: Linear
    feature_map: str = static(default="positive_elu")
    eps: float = static(default=1e-12)

    @classmethod
    def init(
        cls, key: Array, in_features: int, *, key_features: int, out_features: int, feature_map: str = "positive_elu"
    ) -> "LinearAttention":
        """Xavier-uniform weights, biases of zeros.

        Raises:
            InputError: for a size below 1 or an unknown activation.
        """
        check_sizes("LinearAttention", in_features=in_features, key_features=key_features, out_features=out_features)
        keys = jax.random.split(key, 3)
        return cls(
            query=Linear.init(keys[0], in_features, key_features),
            key=Linear.init(keys[1], in_features, key_features),
            value=Linear.init(keys[2], in_features, out_features),
            feature_map=parse_activation(feature_map),
        )

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, in] and int[...] -> [..., time, out]."""
        x = zero_padding(x, lengths)
        phi = function_of(self.feature_map)
        return linear_attention(
            self.query(x), self.key(x), self.value(x), feature_map=phi, lengths=lengths, eps=self.eps
        )
