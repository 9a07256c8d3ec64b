# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of text classification."""

import abc
from collections.abc import Mapping
from typing import Any

import jax

from spago_jax.core import Array, Rng
from spago_jax.core.tree import PyTree
from spago_jax.embeddings.stacked import StackedEmbeddings
from spago_jax.models.encoders import init_encoder
from spago_jax.models.text_classifier import ConvolutionalEncoder, TextClassifier, parts_of
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.linear import Linear
from spago_jax.tasks.class_loss import (
    binary_losses,
    class_measures,
    classification_loss,
    multi_label_loss,
    squared_loss,
    weights_of,
)
from spago_jax.tasks.text_classification.config import TextClassifierConfig
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.train.task import Batch, Loss, ModelType, Objective


class ClassifierLoss(Objective[ModelType], abc.ABC):
    """The cross-entropy of one class or of several labels, or the squared error of a number, whatever the model."""

    def __init__(self, config: Any, processor: TextProcessor):
        self.config, self.scale = config, processor.scale
        self.weights = weights_of(config.class_weights, processor.classes, processor.counts)

    @abc.abstractmethod
    def logits(self, model: ModelType, batch: Batch, rng: Rng | None = None) -> Array:
        """Returns the logits of a batch, [batch, classes]."""

    def loss(self, model: ModelType, batch: Batch, carry: PyTree, rng: Rng) -> Loss:
        """The loss of the problem."""
        logits = self.logits(model, batch, rng)
        if self.config.problem == "regression":
            return squared_loss(logits, batch, self.scale)
        loss = classification_loss if self.config.problem == "single-label" else multi_label_loss
        return loss(logits, batch, self.config.label_smoothing, self.weights)

    def predict(self, model: ModelType, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The ``logits`` [batch, classes]; of a regression [batch, 1], in units of the training labels' deviation."""
        return {"logits": self.logits(model, batch)}, carry

    def measure(self, model: ModelType, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """What the scorer of the problem needs: a class and its loss, probabilities, or values."""
        logits = outputs["logits"]
        if self.config.problem == "single-label":
            return class_measures(logits, batch)
        if self.config.problem == "regression":
            return {"value": logits[..., 0] * self.scale[1] + self.scale[0]}
        return {"probability": jax.nn.sigmoid(logits), "loss": binary_losses(logits, batch["labels"])}


class TextClassificationObjective(ClassifierLoss[TextClassifier]):
    """The loss of a classifier of embedded tokens."""

    def __init__(self, config: TextClassifierConfig, processor: TextProcessor):
        super().__init__(config, processor)
        self.indexers, self.units, self.paired = processor.indexers, processor.units, processor.paired

    def init(self, key: Array) -> TextClassifier:
        """A fresh classifier for the vocabularies and classes of the processor."""
        config, grams = self.config, self.config.ngrams
        keys = [*jax.random.split(key, 4), jax.random.fold_in(key, 4)]
        embeddings = StackedEmbeddings.init(keys[0], config.embeddings, self.indexers)
        features, convolutions, encoder, projection = embeddings.out_features, None, None, None
        if config.projection is not None:
            projection = Linear.init(keys[4], features, config.projection)
            features = config.projection
        if config.encoder is not None and config.encoder.kind == "cnn":
            convolutions = ConvolutionalEncoder.init(keys[1], features, config.encoder.filters, config.encoder.widths)
            features = config.encoder.filters * len(config.encoder.widths)
        elif config.encoder is not None:
            encoder, features = init_encoder(keys[1], config.encoder, features, dropout=config.dropout)
        if convolutions is None:
            features *= parts_of(config.pooling, encoder is not None)
        features += 0 if grams is None else grams.size
        return TextClassifier(
            embeddings=embeddings,
            convolutions=convolutions,
            encoder=encoder,
            ngrams=None if grams is None else Embedding.init(keys[2], grams.rows + 1, grams.size, padding=0),
            output=Linear.init(keys[3], features * (4 if self.paired else 1), self.units),
            projection=projection,
            pooling=config.pooling,
            dropout=config.dropout,
        )

    def logits(self, model: TextClassifier, batch: Batch, rng: Rng | None = None) -> Array:
        """[batch, classes]."""
        return model(batch, rng=rng)
