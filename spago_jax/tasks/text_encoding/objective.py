# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of sentence encoders: pairs that belong together are to be near each other."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from spago_jax.core import Array, Rng
from spago_jax.core.tree import PyTree
from spago_jax.interop.huggingface.sentence import Normalize, Pooling, SentencePipeline
from spago_jax.models.encoder import EncoderModel, config_from_huggingface
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask
from spago_jax.tasks.pretrained.objective import EncoderObjective
from spago_jax.tasks.pretrained.predictor import inputs
from spago_jax.tasks.text_encoding.config import EncodingModelConfig
from spago_jax.tasks.text_encoding.processor import EncodingProcessor
from spago_jax.train.task import Batch, Loss


class EncodingObjective(EncoderObjective):
    """Pairs without scores: ``CE(scale cos(a_i, b_j), i)`` over all b_j of the batch; with scores: ``(cos - score)^2``.

    The second texts of the other pairs of a batch are the wrong ones (in-batch negatives), unless they, or their first
    texts, are the same as the pair's own. Source: Henderson et al. (2017); Reimers and Gurevych (2019).
    """

    head: ClassVar[str] = "states"

    def __init__(self, config: EncodingModelConfig, processor: EncodingProcessor):
        self.config, self.processor = config, processor
        self.encoder = config_from_huggingface(processor.config or {}).encoder

    def pipeline(self, model: EncoderModel | None = None) -> SentencePipeline:
        """What makes a vector of states, as a folder of sentence-transformers describes it."""
        facts = dict(self.processor.pipeline)
        layers = (Normalize(),) if facts.pop("normalize", True) else ()
        pooling = Pooling(modes=tuple(facts.pop("modes", ("mean",))))
        return SentencePipeline(pooling=pooling, layers=layers, max_length=self.processor.max_length, **facts)

    def vectors(self, model: EncoderModel, batch: Batch, rng: Rng | None = None) -> Array:
        """The vectors of ``ids``, ``types`` and ``lengths``: [..., features]."""
        states = model.states(**inputs(model, batch), rng=rng)
        mask = length_mask(batch["lengths"], states.shape[-2])
        return self.pipeline().pool(states, mask, self.processor.prompt_pieces)

    def loss(self, model: EncoderModel, batch: Batch, carry: PyTree, rng: Rng | None) -> Loss:
        """The mean over pairs."""
        cosines, weight = self._cosines(model, batch, rng), batch["weight"]
        if "scores" in batch:
            losses = (jnp.diagonal(cosines) - batch["scores"]) ** 2
        else:
            losses = self._batch_losses(cosines, batch)
        return Loss((losses * weight).sum(), weight.sum())

    def predict(self, model: EncoderModel, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The ``vector`` [batch, features]."""
        return {"vector": self.vectors(model, batch)}, carry

    def measure(self, model: EncoderModel, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The ``value`` of each pair, its score; or its ``loss`` and its ``rank``: how many wrong ones are as near."""
        cosines = self._cosines(model, batch, None)
        if "scores" in batch:
            return {"value": jnp.diagonal(cosines)}
        wrong = jnp.where(wrong_pairs(batch), cosines, -jnp.inf)
        rank = (wrong >= jnp.diagonal(cosines)[:, None]).sum(-1)
        return {"loss": self._batch_losses(cosines, batch), "rank": rank}

    def _cosines(self, model: EncoderModel, batch: Batch, rng: Rng | None) -> Array:
        """cos(a_i, b_j), [batch, batch]; both sides go through the encoder at once."""
        both = {name: jnp.concatenate([batch[name], batch[f"pair_{name}"]]) for name in ("ids", "types", "lengths")}
        vectors = Normalize()(self.vectors(model, both, rng).astype(jnp.float32))
        first, second = jnp.split(vectors, 2)
        return first @ second.T

    def _batch_losses(self, cosines: Array, batch: Batch) -> Array:
        count = cosines.shape[0]
        counts = wrong_pairs(batch) | jnp.eye(count, dtype=bool)
        scores = jnp.where(counts, self.config.scale * cosines, jnp.finfo(cosines.dtype).min)
        return cross_entropy(scores, jnp.arange(count))


def wrong_pairs(batch: Batch) -> Array:
    """Which second texts are wrong for which first ones: bool [batch, batch]."""

    def same(ids: Array) -> Array:
        return (ids[:, None] == ids[None]).all(-1)

    real = batch["weight"] > 0
    return real[None] & ~same(batch["pair_ids"]) & ~same(batch["ids"])
