# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of token classification."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Rng
from spago_jax.core.tree import PyTree
from spago_jax.embeddings.stacked import StackedEmbeddings
from spago_jax.models.encoders import init_encoder
from spago_jax.models.tagger import Tagger, recall_oriented
from spago_jax.nn.crf import CRF
from spago_jax.nn.linear import Linear
from spago_jax.ops.masks import length_mask
from spago_jax.tasks.token_classification.config import TaggerConfig
from spago_jax.tasks.token_classification.processor import TokenProcessor
from spago_jax.text.tags import transition_mask
from spago_jax.train.task import Batch, Loss, Objective


class TaggingObjective(Objective[Tagger]):
    """Minus the log-likelihood of the gold tags, and the best tags."""

    def __init__(self, config: TaggerConfig, processor: TokenProcessor):
        self.config, self.indexers, self.tags = config, processor.indexers, processor.tags

    def init(self, key: Array) -> Tagger:
        """A fresh tagger for the vocabularies and tags of the processor."""
        config, tags = self.config, self.tags
        keys = [*jax.random.split(key, 4), *jax.random.split(jax.random.fold_in(key, 4), 2)]
        embeddings = StackedEmbeddings.init(keys[0], config.embeddings, self.indexers)
        encoder, projection, features = None, None, embeddings.out_features
        if config.projection is not None:
            projection = Linear.init(keys[4], features, config.projection)
            features = config.projection
        if config.encoder is not None:
            encoder, features = init_encoder(
                keys[1], config.encoder, features, dropout=config.dropout, variational=config.variational
            )
        allowed: Any = None
        if config.output == "crf" and config.ban_impossible and tags.scheme != "plain":
            allowed = transition_mask(tags.names, tags.scheme)
        return Tagger(
            embeddings=embeddings,
            encoder=encoder,
            scorer=Linear.init(keys[2], features, len(tags.names)),
            crf=CRF.init(keys[3], len(tags.names), allowed=allowed) if config.output == "crf" else None,
            projection=projection,
            stop=Linear.init(keys[5], features, 1) if config.score_stop else None,
            dropout=config.dropout,
            word_dropout=config.word_dropout,
            variational=config.variational,
        )

    def loss(self, model: Tagger, batch: Batch, carry: PyTree, rng: Rng) -> Loss:
        """Minus the log-likelihood of the gold tags, by token for a softmax and by sentence for a CRF."""
        emissions = model(batch, rng=rng)
        gold = jnp.maximum(batch["tags"], 0)
        if self.config.recall_bias and self.tags.scheme != "plain":
            emissions = recall_oriented(emissions, gold, self.config.recall_bias)
        likelihood = model.log_likelihood(emissions, gold, batch["lengths"])
        weight = batch["lengths"].sum() if model.crf is None else (batch["lengths"] > 0).sum()
        return Loss(-likelihood.sum(), weight)

    def predict(self, model: Tagger, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The best ``tags`` int[batch, time] (0 beyond the lengths), and every tag's ``scores`` [batch, time, tags].

        Also how probable they are: ``probability``, ``p(y_t)``, and ``link``, ``p(y_t | y_{t-1})``, [batch, time]. With
        ``distributions`` also every tag's ``marginals``, and ``shares``, from which Flair's scores come.
        """
        hidden, lengths = model.hidden(batch), batch["lengths"]
        scores = model.emissions(hidden)
        tags = model.decode(scores, lengths)
        probability, link = model.path_probabilities(scores, tags, lengths)
        found = {"tags": tags, "scores": scores, "probability": probability, "link": link}
        if self.config.distributions:
            found["marginals"] = model.marginals(scores, lengths)
            found["shares"] = model.running_shares(scores, hidden)
        return found, carry

    def measure(self, model: Tagger, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The best tags, and minus the log-likelihood of the gold ones: NaN where the model lacks one of them."""
        found = {"tags": outputs["tags"]}
        if "tags" in batch:
            lengths, gold = batch["lengths"], batch["tags"]
            known = ((gold >= 0) | ~length_mask(lengths, gold.shape[-1])).all(-1)
            loss = -model.log_likelihood(outputs["scores"], jnp.maximum(gold, 0), lengths)
            found["loss"] = jnp.where(known, loss, jnp.nan)
        return found
