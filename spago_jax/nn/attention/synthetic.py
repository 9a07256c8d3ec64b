# SPDX-License-Identifier: BSD-2-Clause
"""Attention without dot products between steps."""

import jax

from spago_jax.core import Array, Module
from spago_jax.core.initializers import xavier_uniform
from spago_jax.errors import InputError
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.attention import attention_mask, attention_weights, weighted_sum
from spago_jax.ops.linear import as_float
from spago_jax.ops.masks import zero_padding


class SyntheticAttention(Module):
    """A synthesizer, ``y_i = softmax_j(W_j . relu(W_h x_i + b_h)) v_j``: [..., time, in] -> [..., time, out].

    ``weight`` [max_length, hidden] has a row for each place, so a sequence has at most ``max_length`` steps. Source:
    Tay et al., "Synthesizer" (2020), the dense form; spaGO v0.7.0 nn/attention/syntheticattention.

    >>> layer = SyntheticAttention.init(jax.random.key(0), 4, hidden=3, out_features=2, max_length=6)
    >>> layer(jnp.ones((5, 4))).shape
    (5, 2)
    """

    hidden: Linear
    value: Linear
    weight: Array

    @classmethod
    def init(
        cls, key: Array, in_features: int, *, hidden: int, out_features: int, max_length: int
    ) -> "SyntheticAttention":
        """Xavier-uniform weights, biases of zeros.

        Raises:
            InputError: for a size below 1.
        """
        check_sizes(
            "SyntheticAttention",
            in_features=in_features,
            hidden=hidden,
            out_features=out_features,
            max_length=max_length,
        )
        keys = jax.random.split(key, 3)
        return cls(
            hidden=Linear.init(keys[0], in_features, hidden, activation="relu"),
            value=Linear.init(keys[1], in_features, out_features),
            weight=xavier_uniform(keys[2], (max_length, hidden)),
        )

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, in] and int[...] -> [..., time, out].

        Raises:
            InputError: for more steps than ``max_length``.
        """
        time = x.shape[-2]
        if time > self.weight.shape[0]:
            raise InputError(f"x has {time} steps of time, and this layer was made for up to {self.weight.shape[0]}")
        x = zero_padding(as_float(x, self), lengths)
        rows = self.weight[:time].astype(x.dtype)
        rows = rows.reshape((1,) * (x.ndim - 2) + rows.shape)
        query = jax.nn.relu(self.hidden(x))
        weights = attention_weights(query, rows, scale=1.0, seen=attention_mask(query, rows, lengths=lengths))
        return weighted_sum(weights, self.value(x)).astype(x.dtype)
