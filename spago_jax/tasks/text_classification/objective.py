# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of text classification."""

from collections.abc import Mapping
from typing import Any

import jax

from spago_jax.core import Array, Rng
from spago_jax.embeddings.stacked import StackedEmbeddings
from spago_jax.models.encoders import init_encoder
from spago_jax.models.text_classifier import ConvolutionalEncoder, TextClassifier
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.linear import Linear
from spago_jax.tasks.class_loss import class_measures, classification_loss
from spago_jax.tasks.text_classification.config import TextClassifierConfig
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.train.task import Batch, Loss, Objective


class TextClassificationObjective(Objective[TextClassifier]):
    """Cross-entropy of the labels."""

    def __init__(self, config: TextClassifierConfig, processor: TextProcessor):
        self.config, self.indexers, self.classes = config, processor.indexers, len(processor.classes)

    def init(self, key: Array) -> TextClassifier:
        """A fresh classifier for the vocabularies and classes of the processor."""
        config, grams = self.config, self.config.ngrams
        keys = jax.random.split(key, 4)
        embeddings = StackedEmbeddings.init(keys[0], config.embeddings, self.indexers)
        features, convolutions, encoder = embeddings.out_features, None, None
        if config.encoder is not None and config.encoder.kind == "cnn":
            convolutions = ConvolutionalEncoder.init(keys[1], features, config.encoder.filters, config.encoder.widths)
            features = config.encoder.filters * len(config.encoder.widths)
        elif config.encoder is not None:
            encoder, out = init_encoder(keys[1], config.encoder, features, dropout=config.dropout)
            features = 2 * out
        return TextClassifier(
            embeddings=embeddings,
            convolutions=convolutions,
            encoder=encoder,
            ngrams=None if grams is None else Embedding.init(keys[2], grams.rows + 1, grams.size, padding=0),
            output=Linear.init(keys[3], features + (0 if grams is None else grams.size), self.classes),
            dropout=config.dropout,
        )

    def loss(self, model: TextClassifier, batch: Batch, carry: Any, rng: Rng) -> Loss:
        """Cross-entropy."""
        return classification_loss(model(batch, rng=rng), batch, self.config.label_smoothing)

    def predict(self, model: TextClassifier, batch: Batch, carry: Any = ()) -> tuple[dict[str, Array], Any]:
        """The ``logits`` [batch, classes] and ``probabilities``."""
        logits = model(batch)
        return {"logits": logits, "probabilities": jax.nn.softmax(logits)}, carry

    def measure(self, model: TextClassifier, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The most probable class and the cross-entropy."""
        return class_measures(outputs["logits"], batch)
