# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of ELECTRA: a generator fills masks, a discriminator says which pieces are not the text's own."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Rng, child
from spago_jax.core.tree import PyTree
from spago_jax.models.encoder import EncoderModel, config_from_huggingface
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask
from spago_jax.tasks.pretrained.objective import EncoderObjective
from spago_jax.tasks.replaced_token_detection.config import DetectionModelConfig
from spago_jax.tasks.replaced_token_detection.model import ElectraModel
from spago_jax.tasks.replaced_token_detection.processor import DetectionProcessor
from spago_jax.train.task import Batch, Loss


class DetectionObjective(EncoderObjective):
    """``mean CE of the generator at the masks + w mean BCE of the discriminator over all real pieces``, w = 50.

    A mask becomes a piece drawn from the generator's distribution, argmax(logits + Gumbel noise); no gradient goes
    through it. A piece that is drawn as it was counts as the text's own. Source: Clark et al. (2020), "ELECTRA".
    """

    head: ClassVar[str] = "replaced-tokens"

    def __init__(self, config: DetectionModelConfig, processor: DetectionProcessor, seed: int):
        self.config, self.seed = config, seed
        self.encoder = config_from_huggingface(processor.config or {}).encoder

    def init(self, key: Array) -> ElectraModel:
        """A fresh pair."""
        return ElectraModel.pair(key, self.encoder, self.config.generator_size)

    def plain(self, model: Any) -> EncoderModel:
        """The discriminator."""
        return EncoderModel(encoder=model.encoder, head=model.head, head_name=model.head_name)

    def loss(self, model: Any, batch: Batch, carry: PyTree, rng: Rng | None) -> Loss:
        """Both losses, as a sum over the real pieces.

        Their divisors differ, and a batch has one: the generator's sum is scaled to it. Over several devices, or
        batches that are accumulated, the generator's mean is then weighted by real pieces and not by masks.
        """
        both = self._both(model, batch, jax.random.key(self.seed) if rng is None else rng["sample"].key(), rng)
        count, masks = both["pieces"].sum(), both["count"].sum()
        generator = both["nats"].sum() * count / jnp.maximum(masks, 1.0)
        return Loss(generator + self.config.discriminator_weight * both["bits"].sum(), count)

    def predict(self, model: EncoderModel, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The discriminator's ``logits`` [batch, time] for the text as it is."""
        packed = {"segments": batch["segments"]} if "segments" in batch else {}
        return {"logits": self.head_logits(model, batch, **packed)}, carry

    def measure(self, model: Any, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The sums of each row for the scores; the same noise is drawn for every batch."""
        both = self._both(model, batch, jax.random.key(self.seed), None)
        return {name: both[name] for name in ("nats", "count", "bits", "pieces", "right", "found", "replaced")}

    def _both(self, model: ElectraModel, batch: Batch, key: Array, rng: Rng | None) -> dict[str, Array]:
        packed = {"segments": batch["segments"]} if "segments" in batch else {}
        weights = batch["weights"]
        words = self.head_logits(model.generating(), batch, child(rng, "generator"), at=batch["at"], **packed)
        drawn = jax.random.categorical(key, jax.lax.stop_gradient(words.astype(jnp.float32)))
        corrupted, fake = replaced(batch, drawn)
        logits = self.head_logits(model, {**batch, "ids": corrupted}, rng, **packed)
        real = length_mask(batch["lengths"], corrupted.shape[-1]).astype(jnp.float32)
        bits = jax.nn.softplus(logits) - fake * logits
        found = (logits > 0).astype(jnp.float32)
        return {
            "nats": (cross_entropy(words, batch["labels"]) * weights).sum(-1),
            "count": weights.sum(-1),
            "bits": (bits * real).sum(-1),
            "pieces": real.sum(-1),
            "right": ((found == fake) * real).sum(-1),
            "found": (found * fake * real).sum(-1),
            "replaced": (fake * real).sum(-1),
            "ids": corrupted,
        }


def replaced(batch: Batch, drawn: Array) -> tuple[Array, Array]:
    """The ids with pieces drawn for the masked places, and whether each piece is not the text's own, 0 or 1.

    Args:
        batch: with ``ids``, ``at``, ``labels`` and ``weights``.
        drawn: int[batch, asked], for the places ``at``.

    Returns:
        int[batch, time] and float32[batch, time].
    """
    ids, time = jnp.asarray(batch["ids"]), batch["ids"].shape[-1]
    rows = jnp.arange(ids.shape[0])[:, None]
    at = jnp.where(batch["weights"] > 0, batch["at"], time)  # beyond the row: places that are not used
    corrupted = ids.at[rows, at].set(drawn.astype(ids.dtype), mode="drop")
    fake = jnp.zeros(ids.shape, jnp.float32).at[rows, at].set((drawn != batch["labels"]) * 1.0, mode="drop")
    return corrupted, fake
