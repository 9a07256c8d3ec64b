# SPDX-License-Identifier: BSD-2-Clause
"""Affine layers, embeddings, dropout, characters of words, CRF."""

import jax.numpy as jnp

from spago_jax import nn
from spago_jax.nn.catalogue.entry import Entry

ENTRIES = (
    Entry(
        "linear",
        lambda key: nn.Linear.init(key, 6, 4),
        ("f32[batch, 6]",),
        "y = x W' + b",
        spago="nn/linear",
    ),
    Entry(
        "embedding",
        lambda key: nn.Embedding.init(key, 10, 4),
        ("i32[batch, time] < 10",),
        "y = W[id]",
        spago="nn/embedding",
    ),
    Entry(
        "fixed_embedding",
        lambda key: nn.FixedEmbedding(weight=jnp.linspace(-1.0, 1.0, 40).reshape(10, 4)),
        ("i32[batch, time] < 10",),
        "y = W[id], W is not trained",
        trains=False,
    ),
    Entry(
        "dropout",
        lambda key: nn.Dropout.init(0.5),
        ("f32[batch, 6]",),
        "y = x m / (1 - p), m ~ Bernoulli(1 - p)",
        "Srivastava et al. (2014)",
        "nn/dropout",
        random=True,
        trains=False,
    ),
    Entry(
        "variational_dropout",
        lambda key: nn.VariationalDropout.init(0.5),
        ("f32[batch, time, 6]",),
        "y_t = x_t m / (1 - p), one m for all t",
        "Gal and Ghahramani (2016)",
        random=True,
        trains=False,
    ),
    Entry(
        "word_dropout",
        lambda key: nn.WordDropout.init(0.3),
        ("f32[batch, time, 6]",),
        "y_t = x_t m_t, m_t ~ Bernoulli(1 - p)",
        random=True,
        trains=False,
    ),
    Entry(
        "convolution1d",
        lambda key: nn.Convolution1d.init(key, 6, 4, 3),
        ("f32[batch, time, 6]",),
        "y_t = sum_k W_k x_(t + k - 1) + b",
        "LeCun et al. (1989)",
        lengths=True,
    ),
    Entry(
        "character_cnn",
        lambda key: nn.CharacterCNN.init(key, 12, embedding_features=4, filters=3, widths=(2, 3)),
        ("i32[batch, time] < 12",),
        "y = max_t conv(E[c])_t, for each width",
        "Ma and Hovy (2016)",
        call=lambda model, ids, **options: model(ids, options.get("lengths", jnp.full(ids.shape[:-1], ids.shape[-1]))),
        lengths=True,
    ),
    Entry(
        "character_lstm",
        lambda key: nn.CharacterLSTM.init(key, 12, embedding_features=4, hidden=3),
        ("i32[batch, time] < 12",),
        "y = [forward LSTM's last; backward LSTM's last]",
        "Lample et al. (2016)",
        call=lambda model, ids, **options: model(ids, options.get("lengths", jnp.full(ids.shape[:-1], ids.shape[-1]))),
        lengths=True,
    ),
    Entry(
        "crf",
        lambda key: nn.CRF.init(key, 4),
        ("f32[batch, time, 4]", "i32[batch, time] < 4"),
        "log p(y | x) = score(x, y) - log sum_y' exp score(x, y')",
        "Lafferty et al. (2001)",
        "nn/crf",
        call=lambda model, emissions, tags, **options: model.log_likelihood(emissions, tags, options.get("lengths")),
        lengths=True,
    ),
)
