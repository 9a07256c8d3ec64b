# SPDX-License-Identifier: BSD-2-Clause
"""The sequence labeler: what a token looks like, what stands around it, and a decision over the whole sentence."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, child, static, tap
from spago_jax.flow import Network
from spago_jax.models.flows import build_flow
from spago_jax.models.sequence_labeler.config import SequenceLabelerConfig
from spago_jax.models.tokens.encoder import TokenEncoder
from spago_jax.nn.crf import CRF
from spago_jax.nn.linear import Linear
from spago_jax.nn.recurrent.stacked_rnn import StackedRNN
from spago_jax.ops.dropout import dropout
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask


class SequenceLabeler(Module):
    """Tags each token of a sentence.

    ``x_t = [word; characters; shape]``, ``h = BiRNN(dropout(x))``, ``e_t = W dropout(h_t) + b``; then a linear-chain
    CRF over the emissions ``e``, or a softmax of each. A flow may take the place of the BiRNN. A batch is a mapping
    of arrays: what ``TokenEncoder`` reads, and ``lengths`` int[...].

    Source: Huang et al. (2015), Lample et al. (2016), Ma and Hovy (2016); spaGO ``nlp/sequencelabeler``.
    """

    tokens: TokenEncoder
    encoder: StackedRNN | Network
    scorer: Linear
    crf: CRF | None
    dropout: float = static(default=0.0)
    word_dropout: float = static(default=0.0)
    variational: bool = static(default=True)

    @classmethod
    def init(
        cls,
        key: Array,
        config: SequenceLabelerConfig,
        *,
        words: int,
        alphabet: int,
        shapes: int,
        tags: int,
        allowed: tuple[Any, Any, Any] | None = None,
    ) -> "SequenceLabeler":
        """A fresh model of a ``SequenceLabelerConfig`` and the sizes of its vocabularies.

        Args:
            key: the randomness.
            config: the `model` section.
            words: number of words, of which id 0 is padding and id 1 the unknown word.
            alphabet: number of characters.
            shapes: number of word shapes.
            tags: number of tags.
            allowed: what may start, follow and end, for the CRF.
        """
        keys = jax.random.split(key, 4)
        tokens = TokenEncoder.init(keys[0], config, words=words, alphabet=alphabet, shapes=shapes)
        encoder: StackedRNN | Network
        if config.flow is not None:
            encoder, features = build_flow(config.flow, keys[1], f"f32[batch, time, {tokens.out_features}]")
        else:
            encoder = StackedRNN.init(
                keys[1],
                tokens.out_features,
                config.hidden,
                layers=config.layers,
                cell=config.cell,
                bidirectional=True,
                merge=config.merge,
                dropout=config.dropout,
                variational=config.variational,
            )
            features = encoder.out_features
        return cls(
            tokens=tokens,
            encoder=encoder,
            scorer=Linear.init(keys[2], features, tags),
            crf=CRF.init(keys[3], tags, allowed=allowed) if config.output == "crf" else None,
            dropout=config.dropout,
            word_dropout=config.word_dropout,
            variational=config.variational,
        )

    def __call__(self, batch: Mapping[str, Array], *, rng: Rng | None = None) -> Array:
        """The emissions [..., time, tags]; with ``rng``, words are dropped as in training."""
        lengths = batch["lengths"]
        xs = tap("tokens", self.tokens(batch, rng=child(rng, "tokens")))
        shared = (-2,) if self.variational else ()
        if rng is not None and self.word_dropout:
            keep = rng["word"].bernoulli(1.0 - self.word_dropout, (*xs.shape[:-1], 1))
            xs = jnp.where(keep, xs, jnp.zeros((), xs.dtype))
        xs = dropout(xs, self.dropout, child(rng, "input"), shared_axes=shared)
        if isinstance(self.encoder, Network):
            hidden = self.encoder(xs, lengths=lengths, rng=child(rng, "encoder"))
        else:
            hidden, _ = self.encoder(xs, lengths, rng=child(rng, "encoder"))
        hidden = dropout(tap("hidden", hidden), self.dropout, child(rng, "output"), shared_axes=shared)
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

    def marginals(self, emissions: Array, lengths: Array) -> Array:
        """``p(tag at t | sentence)`` [..., time, tags]."""
        if self.crf is not None:
            return self.crf.marginals(emissions, lengths)
        mask = length_mask(lengths, emissions.shape[-2])[..., None]
        return jnp.where(mask, jax.nn.softmax(emissions), 0.0)
