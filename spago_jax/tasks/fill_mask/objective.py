# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of masked words: the cross-entropy of the pieces that stood at the masked places."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from spago_jax.core import Array, Rng
from spago_jax.core.tree import PyTree
from spago_jax.models.encoder import EncoderModel, config_from_huggingface
from spago_jax.ops.losses import cross_entropy
from spago_jax.tasks.pretrained.objective import EncoderObjective
from spago_jax.tasks.pretrained.pieces import PieceProcessor
from spago_jax.train.task import Batch, Loss


class MaskedWordsObjective(EncoderObjective):
    """``sum_i w_i CE(logits_i, label_i) / sum_i w_i`` over the masked places i; only their states meet the vocabulary.

    Source: Devlin et al. (2019).
    """

    head: ClassVar[str] = "masked-words"

    def __init__(self, processor: PieceProcessor):
        self.encoder = config_from_huggingface(processor.config or {}).encoder

    def loss(self, model: EncoderModel, batch: Batch, carry: PyTree, rng: Rng | None) -> Loss:
        """The mean over all masked places of the batch."""
        losses = cross_entropy(self._logits(model, batch, rng), batch["labels"])
        return Loss((losses * batch["weights"]).sum(), batch["weights"].sum())

    def predict(self, model: EncoderModel, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The ``logits`` [batch, asked, vocabulary] at the places ``at``."""
        return {"logits": self._logits(model, batch)}, carry

    def measure(self, model: EncoderModel, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The summed loss of each row, how many of its masked pieces are found, and how many there are."""
        logits, weights = outputs["logits"], batch["weights"]
        right = jnp.argmax(logits, -1) == batch["labels"]
        losses = cross_entropy(logits, batch["labels"])
        return {"nats": (losses * weights).sum(-1), "right": (right * weights).sum(-1), "count": weights.sum(-1)}

    def _logits(self, model: EncoderModel, batch: Batch, rng: Rng | None = None) -> Array:
        packed = {"segments": batch["segments"]} if "segments" in batch else {}
        return self.head_logits(model, batch, rng, at=batch["at"], **packed)
