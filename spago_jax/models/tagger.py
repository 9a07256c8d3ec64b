# SPDX-License-Identifier: BSD-2-Clause
"""A tagger: what a token looks like, what stands around it, and a decision over the whole sentence."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static, tap
from spago_jax.embeddings.stacked import StackedEmbeddings
from spago_jax.models.encoders import FlowTokenEncoder, RecurrentEncoder
from spago_jax.nn.crf import CRF
from spago_jax.nn.linear import Linear
from spago_jax.ops.crf import running_shares
from spago_jax.ops.dropout import dropout
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask


class Tagger(Module):
    """Tags each token of a sentence.

    ``x_t = [e_1(t); e_2(t); ...]``, ``h = encoder(P dropout(x))``, ``e_t = W dropout(h_t) + b``; then a linear-chain
    CRF over the emissions ``e``, or a softmax of each. A batch is a mapping of arrays: what the embeddings read, and
    ``lengths`` int[...].

    ``P`` is the layer ``projection``, if there is one. ``stop`` scores the end of a sentence at each token, which
    counts in the score that Flair prints and in nothing else.

    Source: Huang et al. (2015), Lample et al. (2016), Ma and Hovy (2016); spaGO ``nlp/sequencelabeler``.
    """

    embeddings: StackedEmbeddings
    encoder: RecurrentEncoder | FlowTokenEncoder | None
    scorer: Linear
    crf: CRF | None
    projection: Linear | None = None
    stop: Linear | None = None
    dropout: float = static(default=0.0)
    word_dropout: float = static(default=0.0)
    variational: bool = static(default=True)

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The emissions [..., time, tags]; with ``rng``, words are dropped as in training."""
        return self.emissions(self.hidden(batch, rng=rng))

    def hidden(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """What the tags of each token are scored from, [..., time, features]."""
        lengths = batch["lengths"]
        xs = tap("tokens", self.embeddings(batch, rng=child(rng, "embeddings")))
        shared = (-2,) if self.variational else ()
        if rng is not None and self.word_dropout:
            keep = rng["word"].bernoulli(1.0 - self.word_dropout, (*xs.shape[:-1], 1))
            xs = jnp.where(keep, xs, jnp.zeros((), xs.dtype))
        hidden = dropout(xs, self.dropout, child(rng, "input"), shared_axes=shared)
        if self.projection is not None:
            hidden = self.projection(hidden)
        if self.encoder is not None:
            hidden = tap("hidden", self.encoder(hidden, lengths, rng=child(rng, "encoder")))
            hidden = dropout(hidden, self.dropout, child(rng, "output"), shared_axes=shared)
        return hidden

    def emissions(self, hidden: Array) -> Array:
        """The score of every tag of each token, [..., time, tags]."""
        return tap("emissions", self.scorer(hidden).astype(jnp.promote_types(hidden.dtype, jnp.float32)))

    def log_likelihood(self, emissions: Array, tags: Array, lengths: Array) -> Array:
        """``log p(tags | sentence)`` [...]; 0 for an empty sentence."""
        if self.crf is not None:
            return self.crf.log_likelihood(emissions, tags, lengths)
        mask = length_mask(lengths, emissions.shape[-2])
        return -jnp.where(mask, cross_entropy(emissions, tags), 0.0).sum(-1)

    def decode(self, emissions: Array, lengths: Array) -> Array:
        """The best tags int32[..., time], 0 beyond the lengths."""
        if self.crf is not None:
            return self.crf(emissions, lengths)
        best = jnp.argmax(emissions, axis=-1).astype(jnp.int32)
        return jnp.where(length_mask(lengths, emissions.shape[-2]), best, 0)

    def path_probabilities(self, emissions: Array, tags: Array, lengths: Array) -> tuple[Array, Array]:
        """``p(tag at t)`` and ``p(tag at t | tag at t - 1)`` along a path of tags, both [..., time]."""
        if self.crf is not None:
            return self.crf.path_probabilities(emissions, tags, lengths)
        found = jnp.exp(-cross_entropy(emissions, tags))
        found = jnp.where(length_mask(lengths, emissions.shape[-2]), found, 0.0)
        return found, found

    def running_shares(self, emissions: Array, hidden: Array) -> Array:
        """The share of each tag in the softmax of the running Viterbi scores [..., time, tags]: see ``ops.crf``."""
        if self.crf is None:
            return jax.nn.softmax(emissions)
        stop = None if self.stop is None else self.stop(hidden)[..., 0]
        return running_shares(emissions, self.crf.transitions, stop)

    def marginals(self, emissions: Array, lengths: Array) -> Array:
        """``p(tag at t | sentence)`` [..., time, tags]."""
        if self.crf is not None:
            return self.crf.marginals(emissions, lengths)
        mask = length_mask(lengths, emissions.shape[-2])[..., None]
        return jnp.where(mask, jax.nn.softmax(emissions), 0.0)


def recall_oriented(emissions: Array, tags: Array, cost: float) -> Array:
    """Raises the score of O by ``cost`` where the gold tag is an entity's, so that training must overcome it.

    The softmax-margin loss with a cost for missed entities alone. Source: Mohit et al. (2012), "Recall-oriented
    learning of named entities in Arabic Wikipedia". O has id 0.

    >>> recall_oriented(jnp.zeros((2, 3)), jnp.array([0, 2]), 1.5)
    Array([[0. , 0. , 0. ],
           [1.5, 0. , 0. ]], dtype=float32)
    """
    return emissions.at[..., 0].add(jnp.where(tags != 0, cost, 0.0).astype(emissions.dtype))
