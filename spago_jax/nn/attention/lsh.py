# SPDX-License-Identifier: BSD-2-Clause
"""Attention inside buckets."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, buffer, static
from spago_jax.core.initializers import normal
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.attention import scaled_dot_product_attention
from spago_jax.ops.masks import zero_padding
from spago_jax.ops.norms import norm


class LSHAttention(Module):
    """Attention among the steps whose queries hash alike: [..., time, in] -> [..., time, out].

        q = W_q x + b_q,  k = q / |q|,  bucket = argmax([R' q; -R' q]),  y = softmax over the bucket(scale q k') v

    ``rotations`` R [keys, buckets / 2] is random and not trained. One hash round, and not causal, as in spaGO; buckets
    are masks over all pairs, so that shapes stay static. Source: Kitaev, Kaiser and Levskaya, "Reformer" (2020);
    spaGO v0.7.0 nn/attention/lshattention.

    >>> layer = LSHAttention.init(jax.random.key(0), 4, key_features=3, out_features=2, buckets=4)
    >>> layer(jnp.ones((5, 4))).shape
    (5, 2)
    """

    query: Linear
    value: Linear
    rotations: Array = buffer()
    scale: float = static(default=1.0)

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        *,
        key_features: int,
        out_features: int,
        buckets: int,
        scale: float | None = None,
    ) -> "LSHAttention":
        """Xavier-uniform weights, biases of zeros, normal rotations; ``scale`` is ``key_features ** -0.5`` if None.

        Raises:
            InputError: for a size below 1 or an odd number of buckets.
        """
        check_sizes(
            "LSHAttention",
            in_features=in_features,
            key_features=key_features,
            out_features=out_features,
            half_of_buckets=buckets // 2 if buckets % 2 == 0 else 0,
        )
        keys = jax.random.split(key, 3)
        return cls(
            query=Linear.init(keys[0], in_features, key_features),
            value=Linear.init(keys[1], in_features, out_features),
            rotations=normal(keys[2], (key_features, buckets // 2)),
            scale=key_features**-0.5 if scale is None else float(scale),
        )

    def buckets(self, query: Array) -> Array:
        """Which bucket each query is in: [..., time, keys] -> int[..., time]."""
        turned = jnp.einsum("...d,db->...b", query, self.rotations.astype(query.dtype))
        return jnp.argmax(jnp.concatenate([turned, -turned], axis=-1), axis=-1)

    def __call__(self, x: Array, lengths: Array | None = None) -> Array:
        """[..., time, in] and int[...] -> [..., time, out]."""
        x = zero_padding(x, lengths)
        query = self.query(x)
        length = norm(query)
        key = query / jnp.where(length > 0, length, jnp.ones((), length.dtype))
        buckets = self.buckets(query)
        alike = buckets[..., :, None] == buckets[..., None, :]
        return scaled_dot_product_attention(query, key, self.value(x), scale=self.scale, mask=alike, lengths=lengths)
