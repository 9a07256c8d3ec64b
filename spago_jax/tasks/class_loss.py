# SPDX-License-Identifier: BSD-2-Clause
"""The loss and the measures of classifiers, whatever they read; traced."""

import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.ops.losses import cross_entropy
from spago_jax.train.task import Batch, Loss


def classification_loss(logits: Array, batch: Batch, label_smoothing: float = 0.0) -> Loss:
    """The cross-entropy of ``batch["labels"]``, weighted by ``batch["weight"]``."""
    losses = cross_entropy(logits, batch["labels"], label_smoothing=label_smoothing)
    return Loss((losses * batch["weight"]).sum(), batch["weight"].sum())


def class_measures(logits: Array, batch: Batch) -> dict[str, Array]:
    """The most probable class and the cross-entropy of each row, NaN where the model lacks its class."""
    gold = batch["labels"]
    loss = jnp.where(gold < 0, jnp.nan, cross_entropy(logits, jnp.maximum(gold, 0)))
    return {"class": jnp.argmax(logits, -1), "loss": loss}
