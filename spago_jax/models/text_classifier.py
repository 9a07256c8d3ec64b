# SPDX-License-Identifier: BSD-2-Clause
"""A text classifier: an encoder over the tokens, pooling, and a hashed bag of n-grams beside it."""

from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static, tap
from spago_jax.embeddings.stacked import StackedEmbeddings
from spago_jax.models.encoders import FlowTokenEncoder, RecurrentEncoder
from spago_jax.nn import Convolution1d
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.linear import Linear
from spago_jax.ops.conv import max_over_time
from spago_jax.ops.dropout import dropout
from spago_jax.ops.masks import length_mask


class ConvolutionalEncoder(Module):
    """``[max_t relu(conv_w(x))_t for each width w]`` (Kim, 2014)."""

    convolutions: tuple[Convolution1d, ...]

    @classmethod
    def init(cls, key: Array, features: int, filters: int, widths: tuple[int, ...]) -> "ConvolutionalEncoder":
        """Fresh filters of each width, ``filters`` of them per width."""
        keys = jax.random.split(key, len(widths))
        return cls(
            tuple(
                Convolution1d.init(k, features, filters, width, activation="relu")
                for k, width in zip(keys, widths, strict=True)
            )
        )

    def __call__(self, xs: Array, lengths: Array) -> list[Array]:
        """[..., time, features] -> [..., filters] for each width."""
        return [max_over_time(jax.nn.relu(layer(xs, lengths)), lengths) for layer in self.convolutions]


class TextClassifier(Module):
    """``logits = W [pooled(encoder(tokens)); mean of n-gram vectors] + b``.

    The token vectors, or the outputs of an encoder over them, are pooled as ``pooling`` says: by default by their mean,
    those of an encoder by mean and maximum. A convolutional encoder takes the maximum over time of each filter (Kim,
    2014). ``projection`` is a linear layer before that. N-grams are hashed as in fastText (Joulin et al., 2017). A
    batch is what the embeddings read, ``lengths`` int[...], and ``ngrams`` int[..., n] with ``ngram_lengths``. Of a
    pair of texts, whose second has its arrays as ``pair_...``, the output layer reads ``[u; v; |u - v|; u * v]``
    (Conneau et al., 2017).
    """

    embeddings: StackedEmbeddings
    convolutions: ConvolutionalEncoder | None
    encoder: RecurrentEncoder | FlowTokenEncoder | None
    ngrams: Embedding | None
    output: Linear
    projection: Linear | None = None
    pooling: str | None = static(default=None)
    dropout: float = static(default=0.0)

    def __call__(self, batch: Mapping[str, Any], *, rng: Rng | None = None) -> Array:
        """The logits [..., classes]; with ``rng``, units drop as in training."""
        features = self.features(batch, rng=rng)
        second = {name.removeprefix("pair_"): array for name, array in batch.items() if name.startswith("pair_")}
        if second:
            other = self.features(second, rng=child(rng, "pair"))
            features = jnp.concatenate([features, other, jnp.abs(features - other), features * other], axis=-1)
        features = dropout(tap("features", features), self.dropout, child(rng, "output"))
        return tap("logits", self.output(features))

    def features(self, batch: Mapping[str, Any], *, rng: Rng | None = None) -> Array:
        """What the output layer reads of a text, [..., features]."""
        lengths = batch["lengths"]
        xs = tap("tokens", self.embeddings(batch, rng=child(rng, "embeddings")))
        xs = dropout(xs, self.dropout, child(rng, "input"))
        if self.projection is not None:
            xs = self.projection(xs)
        if self.convolutions is not None:
            pooled = self.convolutions(xs, lengths)
        else:
            if self.encoder is not None:
                xs = self.encoder(xs, lengths, rng=child(rng, "encoder"))
            pooled = [_POOLS[name](xs, lengths) for name in _names(self.pooling, self.encoder is not None)]
        if self.ngrams is not None:
            pooled.append(mean_over_time(self.ngrams(batch["ngrams"]), batch["ngram_lengths"]))
        return jnp.concatenate(pooled, axis=-1)


def mean_over_time(xs: Array, lengths: Array) -> Array:
    """The mean of the first ``lengths`` steps: [..., time, features] -> [..., features]; zeros for length 0."""
    mask = length_mask(lengths, xs.shape[-2])[..., None]
    total = jnp.where(mask, xs, jnp.zeros((), xs.dtype)).sum(-2)
    return total / jnp.maximum(lengths, 1)[..., None].astype(xs.dtype)


def min_over_time(xs: Array, lengths: Array) -> Array:
    """The least of the first ``lengths`` steps: [..., time, features] -> [..., features]; zeros for length 0."""
    return -max_over_time(-xs, lengths)


def first_step(xs: Array, lengths: Array) -> Array:
    """The first step: [..., time, features] -> [..., features]; zeros for length 0."""
    return jnp.where((lengths > 0)[..., None], xs[..., 0, :], jnp.zeros((), xs.dtype))


def last_step(xs: Array, lengths: Array) -> Array:
    """The last of the first ``lengths`` steps: [..., time, features] -> [..., features]; zeros for length 0."""
    at = jnp.maximum(lengths - 1, 0)[..., None, None]
    found = jnp.take_along_axis(xs, at, axis=-2, mode="clip")[..., 0, :]
    return jnp.where((lengths > 0)[..., None], found, jnp.zeros((), xs.dtype))


Pooling = Literal["mean", "max", "min", "mean-max", "last", "ends"]
_PARTS = {"mean-max": ("mean", "max"), "ends": ("first", "last")}
_POOLS = {
    "mean": mean_over_time, "max": max_over_time, "min": min_over_time, "first": first_step, "last": last_step,
}  # fmt: skip


def _names(pooling: str | None, encoded: bool) -> tuple[str, ...]:
    """The pools of a pooling; by default the mean, and of an encoder's outputs the maximum too."""
    pooling = pooling or ("mean-max" if encoded else "mean")
    return _PARTS.get(pooling, (pooling,))


def parts_of(pooling: str | None, encoded: bool = False) -> int:
    """How many vectors of a token's size a text is pooled into, tokens as they are or encoded.

    >>> parts_of("mean"), parts_of("ends"), parts_of(None, encoded=True)
    (1, 2, 2)
    """
    return len(_names(pooling, encoded))
