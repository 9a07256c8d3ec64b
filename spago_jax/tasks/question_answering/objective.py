# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of question answering: the logits of the first and the last piece, and their cross-entropies."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from spago_jax.core import Array, Rng
from spago_jax.core.tree import PyTree
from spago_jax.models.encoder import EncoderModel, config_from_huggingface
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask
from spago_jax.tasks.pretrained.objective import EncoderObjective
from spago_jax.tasks.question_answering.processor import QuestionProcessor
from spago_jax.train.task import Batch, Loss


class SpanObjective(EncoderObjective):
    """``(CE(start) + CE(end)) / 2`` over the pieces of each window, which are its classes; padding is none of them.

    Source: Devlin et al. (2019); windows without the answer point at the mark at their beginning.
    """

    head: ClassVar[str] = "question-answering"

    def __init__(self, processor: QuestionProcessor):
        self.encoder = config_from_huggingface(processor.config or {}).encoder

    def loss(self, model: EncoderModel, batch: Batch, carry: PyTree, rng: Rng | None) -> Loss:
        """The mean over windows."""
        losses = span_losses(self.head_logits(model, batch, rng), batch)
        return Loss((losses * batch["weight"]).sum(), batch["weight"].sum())

    def predict(self, model: EncoderModel, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The ``start`` and ``end`` logits [batch, time]."""
        logits = self.head_logits(model, batch)
        return {"start": logits[..., 0], "end": logits[..., 1]}, carry

    def measure(self, model: EncoderModel, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The logits, and the ``loss`` of each window."""
        losses = span_losses(jnp.stack([outputs["start"], outputs["end"]], -1), batch)
        return {**outputs, "loss": losses}


def span_losses(logits: Array, batch: Batch) -> Array:
    """The loss of each window, from logits [..., time, 2]: [...]."""
    real = length_mask(batch["lengths"], logits.shape[-2])[..., None]
    # The least number that is finite: an empty row has a loss, of weight 0.
    known = jnp.where(real, logits, jnp.finfo(logits.dtype).min)
    return cross_entropy(jnp.swapaxes(known, -1, -2), batch["spans"]).mean(-1)
