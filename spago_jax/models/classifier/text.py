# SPDX-License-Identifier: BSD-2-Clause
"""A text classifier: mean of embeddings, CNN or BiLSTM, and a hashed bag of n-grams beside it."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static, tap
from spago_jax.flow import Network
from spago_jax.models.classifier.config import TextClassifierConfig
from spago_jax.models.flows import build_flow
from spago_jax.models.tokens.encoder import TokenEncoder
from spago_jax.nn.convolution import Convolution1d
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.linear import Linear
from spago_jax.nn.recurrent.stacked_rnn import StackedRNN
from spago_jax.ops.conv import max_over_time
from spago_jax.ops.dropout import dropout
from spago_jax.ops.masks import length_mask


class TextClassifier(Module):
    """``logits = W [pooled(encoder(tokens)); mean of n-gram vectors] + b``.

    The encoder is nothing (the mean of the token vectors), convolutions with the maximum over time (Kim, 2014), or a
    BiLSTM or a flow, whose outputs are pooled by mean and maximum. N-grams are hashed as in fastText (Joulin et al.,
    2017). A batch is what ``TokenEncoder`` reads, ``lengths`` int[...], and ``ngrams`` int[..., n] with
    ``ngram_lengths``.
    """

    tokens: TokenEncoder
    convolutions: tuple[Convolution1d, ...]
    rnn: StackedRNN | Network | None
    ngrams: Embedding | None
    output: Linear
    dropout: float = static(default=0.0)

    @classmethod
    def init(
        cls, key: Array, config: TextClassifierConfig, *, words: int, alphabet: int, shapes: int, classes: int
    ) -> "TextClassifier":
        """A fresh model of a config and the sizes of its vocabularies."""
        keys = jax.random.split(key, 5)
        tokens = TokenEncoder.init(keys[0], config, words=words, alphabet=alphabet, shapes=shapes)
        convolutions: tuple[Convolution1d, ...] = ()
        rnn: StackedRNN | Network | None = None
        if config.flow is not None:
            rnn, size = build_flow(config.flow, keys[1], f"f32[batch, time, {tokens.out_features}]")
            features = 2 * size
        elif config.encoder == "cnn":
            convolutions = tuple(
                Convolution1d.init(k, tokens.out_features, config.hidden, width, activation="relu")
                for k, width in zip(jax.random.split(keys[1], len(config.widths)), config.widths, strict=True)
            )
            features = config.hidden * len(config.widths)
        elif config.encoder == "bilstm":
            rnn = StackedRNN.init(
                keys[1],
                tokens.out_features,
                config.hidden,
                layers=config.layers,
                bidirectional=True,
                dropout=config.dropout,
            )
            features = 2 * rnn.out_features
        else:
            features = tokens.out_features
        ngrams = Embedding.init(keys[2], config.ngrams + 1, config.ngram_size, padding=0) if config.ngrams else None
        features += config.ngram_size if config.ngrams else 0
        return cls(
            tokens=tokens,
            convolutions=convolutions,
            rnn=rnn,
            ngrams=ngrams,
            output=Linear.init(keys[3], features, classes),
            dropout=config.dropout,
        )

    def __call__(self, batch: Mapping[str, Any], *, rng: Rng | None = None) -> Array:
        """The logits [..., classes]; with ``rng``, units drop as in training."""
        lengths = batch["lengths"]
        xs = tap("tokens", self.tokens(batch, rng=child(rng, "tokens")))
        xs = dropout(xs, self.dropout, child(rng, "input"))
        if self.convolutions:
            pooled = [max_over_time(jax.nn.relu(layer(xs, lengths)), lengths) for layer in self.convolutions]
        elif self.rnn is not None:
            if isinstance(self.rnn, Network):
                hidden = self.rnn(xs, lengths=lengths, rng=child(rng, "rnn"))
            else:
                hidden, _ = self.rnn(xs, lengths, rng=child(rng, "rnn"))
            pooled = [mean_over_time(hidden, lengths), max_over_time(hidden, lengths)]
        else:
            pooled = [mean_over_time(xs, lengths)]
        if self.ngrams is not None:
            pooled.append(mean_over_time(self.ngrams(batch["ngrams"]), batch["ngram_lengths"]))
        features = dropout(tap("features", jnp.concatenate(pooled, axis=-1)), self.dropout, child(rng, "output"))
        return tap("logits", self.output(features))


def mean_over_time(xs: Array, lengths: Array) -> Array:
    """The mean of the first ``lengths`` steps: [..., time, features] -> [..., features]; zeros for length 0."""
    mask = length_mask(lengths, xs.shape[-2])[..., None]
    total = jnp.where(mask, xs, jnp.zeros((), xs.dtype)).sum(-2)
    return total / jnp.maximum(lengths, 1)[..., None].astype(xs.dtype)
