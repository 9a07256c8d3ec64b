# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of image classification."""

from collections.abc import Mapping
from typing import Any

import jax

from spago_jax.core import Array, Rng
from spago_jax.core.tree import PyTree
from spago_jax.models.image_mlp import MLPClassifier
from spago_jax.tasks.class_loss import class_measures, classification_loss, weights_of
from spago_jax.tasks.image_classification.config import ImageClassifierConfig
from spago_jax.tasks.image_classification.processor import PictureProcessor
from spago_jax.train.task import Batch, Loss, Objective


class ImageClassificationObjective(Objective[MLPClassifier]):
    """Cross-entropy of the classes."""

    def __init__(self, config: ImageClassifierConfig, processor: PictureProcessor):
        self.config, self.shape, self.classes = config, processor.shape, processor.classes
        names = [str(number) for number in range(processor.classes)]
        self.weights = weights_of(config.class_weights, names, processor.counts)

    def init(self, key: Array) -> MLPClassifier:
        """A fresh classifier."""
        config = self.config
        return MLPClassifier.init(
            key,
            self.shape[0] * self.shape[1],
            self.classes,
            hidden=config.hidden,
            flow=config.encoder,
            activation=config.activation,
            dropout=config.dropout,
            input_dropout=config.input_dropout,
            shift=config.shift,
        )

    def loss(self, model: MLPClassifier, batch: Batch, carry: PyTree, rng: Rng) -> Loss:
        """Cross-entropy."""
        return classification_loss(model(batch["images"], rng=rng), batch, self.config.label_smoothing, self.weights)

    def predict(self, model: MLPClassifier, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The ``logits`` [batch, classes] and ``probabilities``."""
        logits = model(batch["images"])
        return {"logits": logits, "probabilities": jax.nn.softmax(logits)}, carry

    def measure(self, model: MLPClassifier, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The most probable class and the cross-entropy."""
        return class_measures(outputs["logits"], batch)
