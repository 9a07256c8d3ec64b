# SPDX-License-Identifier: BSD-2-Clause
"""The losses and the measures of classifiers, whatever they read; traced."""

from collections.abc import Mapping, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array
from spago_jax.errors import InputError, did_you_mean
from spago_jax.ops.losses import cross_entropy
from spago_jax.train.task import Batch, Loss


def classification_loss(
    logits: Array, batch: Batch, label_smoothing: float = 0.0, class_weights: np.ndarray | None = None
) -> Loss:
    """The cross-entropy of ``batch["labels"]``, weighted by ``batch["weight"]`` and by the weight of its class.

    The mean is weighted too, ``sum w l / sum w``, as PyTorch's ``CrossEntropyLoss`` has it.
    """
    losses = cross_entropy(logits, batch["labels"], label_smoothing=label_smoothing)
    weight = batch["weight"]
    if class_weights is not None:
        weight = weight * jnp.asarray(class_weights, losses.dtype)[batch["labels"]]
    return Loss((losses * weight).sum(), weight.sum())


def multi_label_loss(
    logits: Array, batch: Batch, label_smoothing: float = 0.0, class_weights: np.ndarray | None = None
) -> Loss:
    """The binary cross-entropy of each label, the mean over the labels.

    A label's weight multiplies the cost of missing it, as ``pos_weight`` of PyTorch's ``BCEWithLogitsLoss``.
    """
    targets = batch["labels"] * (1.0 - label_smoothing) + 0.5 * label_smoothing
    losses = binary_losses(logits, targets, class_weights)
    return Loss((losses * batch["weight"]).sum(), batch["weight"].sum())


def binary_losses(logits: Array, targets: Array, weights: np.ndarray | None = None) -> Array:
    """``mean_l w_l y_l softplus(-z_l) + (1 - y_l) softplus(z_l)``: [..., labels] -> [...]."""
    present = targets * jax.nn.softplus(-logits)
    if weights is not None:
        present = present * jnp.asarray(weights, logits.dtype)
    return (present + (1.0 - targets) * jax.nn.softplus(logits)).mean(-1)


def squared_loss(logits: Array, batch: Batch, scale: tuple[float, float]) -> Loss:
    """The squared error in units of the training labels' variance; ``scale`` is their mean and deviation."""
    error = logits[..., 0] - (batch["labels"] - scale[0]) / scale[1]
    return Loss((error * error * batch["weight"]).sum(), batch["weight"].sum())


def class_measures(logits: Array, batch: Batch) -> dict[str, Array]:
    """The most probable class, its probability, and the cross-entropy, NaN where the model lacks the gold class."""
    gold = batch["labels"]
    loss = jnp.where(gold < 0, jnp.nan, cross_entropy(logits, jnp.maximum(gold, 0)))
    return {"class": jnp.argmax(logits, -1), "probability": jax.nn.softmax(logits).max(-1), "loss": loss}


def weights_of(
    config: Literal["balanced"] | Mapping[str, float] | None, classes: Sequence[str], counts: Sequence[int]
) -> np.ndarray | None:
    """Returns the weight of each class; ``balanced`` is ``n / (classes * n_class)``, as scikit-learn has it.

    Raises:
        InputError: for a weight of a label that is not there.

    >>> weights_of("balanced", ["no", "yes"], [30, 10]).tolist()
    [0.6666666666666666, 2.0]
    """
    if config is None:
        return None
    if config == "balanced":
        return sum(counts) / (len(classes) * np.maximum(np.array(counts, np.float64), 1.0))
    for name in config:
        if name not in classes:
            raise InputError(f"model.class_weights.{name}: there is no such label; {did_you_mean(name, classes)}")
    return np.array([config.get(name, 1.0) for name in classes], np.float64)
