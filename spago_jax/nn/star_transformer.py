# SPDX-License-Identifier: BSD-2-Clause
"""The Star-Transformer."""

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.nn.layer_norm import LayerNorm
from spago_jax.nn.linear import Linear
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.activations import positive_elu
from spago_jax.ops.broadcast import over
from spago_jax.ops.linear import accumulation_dtype, as_float
from spago_jax.ops.linear_attention_scan import read
from spago_jax.ops.masks import length_mask


class StarAttention(Module):
    """Linear attention of each query over its own few keys, ``sum_j w_j v_j`` with ``w_j ~ phi(q) . phi(k_j)``.

    ``query``, ``key`` [size, features] and ``value`` [features, features] are affine layers; phi(x) = elu(x) + 1.
    """

    query: Linear
    key: Linear
    value: Linear

    @classmethod
    def init(cls, key: Array, features: int, size: int) -> "StarAttention":
        """Xavier-uniform weights, biases of zeros."""
        keys = jax.random.split(key, 3)
        return cls(*(Linear.init(k, features, s) for k, s in zip(keys, (size, size, features), strict=True)))

    def read(self, query: Array, keys: Array, values: Array, real: Array | None = None) -> Array:
        """Projected [..., size], [..., n, size], [..., n, features], bool[..., n] -> [..., features]."""
        wide = accumulation_dtype(query.dtype)
        weights = jnp.sum(positive_elu(query.astype(wide))[..., None, :] * positive_elu(keys.astype(wide)), axis=-1)
        if real is not None:
            weights = jnp.where(real, weights, jnp.zeros((), wide))
        total = jnp.sum(weights[..., None] * values.astype(wide), axis=-2)
        return read(total, jnp.sum(weights, axis=-1)).astype(query.dtype)


class StarTransformer(Module):
    """Star-Transformer: [..., time, features], kept, and the relay's state [..., features].

    Each word (satellite) sees its two neighbours, in a ring, itself, its input and the relay; the relay sees itself and
    all words. ``steps`` rounds from ``h = x`` and ``s = mean(x)``:

        h[t] = norm_h(relu(A(h[t]; [h[t-1], h[t], h[t+1], x[t], s])))
        s = norm_s(relu(B(s; [s, h[0], ..., h[n-1]])))

    A and B (``satellite``, ``relay``) are linear attention as in spaGO; the paper has scaled dot products over heads.
    Source: Guo, Qiu, Liu, Shao, Xue and Zhang, "Star-Transformer" (2019); spaGO v0.7.0 gnn/startransformer.

    >>> model = StarTransformer.init(jax.random.key(0), 4, size=3, steps=2)
    >>> ys, relay = model(jnp.eye(4))
    >>> ys.shape, relay.shape
    ((4, 4), (4,))
    """

    satellite: StarAttention
    relay: StarAttention
    satellite_norm: LayerNorm
    relay_norm: LayerNorm
    steps: int = static(default=2)

    @classmethod
    def init(cls, key: Array, features: int, *, size: int | None = None, steps: int = 2) -> "StarTransformer":
        """Xavier-uniform weights; ``size`` of queries and keys is ``features`` if None.

        Raises:
            InputError: for a size or a number of steps below 1.
        """
        size = features if size is None else size
        check_sizes("StarTransformer", features=features, size=size, steps=steps)
        first, second = jax.random.split(key)
        return cls(
            satellite=StarAttention.init(first, features, size),
            relay=StarAttention.init(second, features, size),
            satellite_norm=LayerNorm.init(features),
            relay_norm=LayerNorm.init(features),
            steps=steps,
        )

    @property
    def out_features(self) -> int:
        """The size of an output."""
        return self.satellite.value.weight.shape[0]

    def __call__(self, xs: Array, lengths: Array | None = None) -> tuple[Array, Array]:
        """[..., time, features], int[...] -> words (zero beyond the lengths) and the relay."""
        time = xs.shape[-2]
        lengths = jnp.full(xs.shape[:-2], time, jnp.int32) if lengths is None else jnp.asarray(lengths)
        mask = length_mask(lengths, time)
        xs = as_float(xs, self)
        xs = jnp.where(mask[..., None], xs, jnp.zeros((), xs.dtype))
        wide = accumulation_dtype(xs.dtype)
        count = jnp.maximum(lengths, 1)[..., None].astype(wide)
        relay = (jnp.sum(xs.astype(wide), axis=-2) / count).astype(xs.dtype)
        # The ring closes at the length, not at the end of the padding.
        size = jnp.maximum(lengths, 1)[..., None]
        place = over(jnp.arange(time), size)
        before, after = (place - 1) % size, (place + 1) % size
        real = jnp.concatenate([jnp.ones_like(mask[..., :1]), mask], axis=-1)
        own_keys, own_values = self.satellite.key(xs), self.satellite.value(xs)

        def shared(x: Array) -> Array:
            """The relay's row beside every word."""
            return jnp.broadcast_to(x[..., None, :], (*x.shape[:-1], time, x.shape[-1]))

        def ring(x: Array) -> list[Array]:
            return [jnp.take_along_axis(x, index[..., None], axis=-2) for index in (before, after)]

        def body(state: tuple[Array, Array], _: None):
            words, relay = state
            layers = self.satellite
            keys, values = layers.key(words), layers.value(words)
            keys = [keys, *ring(keys), own_keys, shared(layers.key(relay))]
            values = [values, *ring(values), own_values, shared(layers.value(relay))]
            seen = layers.read(layers.query(words), jnp.stack(keys, axis=-2), jnp.stack(values, axis=-2))
            words = self.satellite_norm(jax.nn.relu(seen))
            words = jnp.where(mask[..., None], words, jnp.zeros((), words.dtype))
            layers = self.relay
            context = jnp.concatenate([relay[..., None, :], words], axis=-2)
            seen = layers.read(layers.query(relay), layers.key(context), layers.value(context), real)
            return (words, self.relay_norm(jax.nn.relu(seen))), None

        (words, relay), _ = jax.lax.scan(body, (xs, relay), None, length=self.steps)
        return words, relay
