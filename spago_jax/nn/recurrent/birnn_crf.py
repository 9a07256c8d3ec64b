# SPDX-License-Identifier: BSD-2-Clause
"""A bidirectional recurrence with a conditional random field on top."""

from typing import Any

import jax

from spago_jax.core import Array, Module
from spago_jax.nn.crf import CRF
from spago_jax.nn.linear import Linear
from spago_jax.nn.recurrent.birnn import BiRNN


class BiRNNCRF(Module):
    """BiRNN-CRF: [..., time, in] -> the best tag path int32[..., time].

        emissions = W birnn(x) + b,  p(tags | x) = crf(emissions)

    Source: Huang, Xu and Yu, "Bidirectional LSTM-CRF models for sequence tagging" (2015); spaGO nn/birnncrf. A tagger
    with words, characters and a tag set is ``spago_jax.models.sequence_labeler``.

    >>> tagger = BiRNNCRF.init(jax.random.key(0), 3, 4, 2)
    >>> tagger(jnp.ones((5, 3))).shape, tagger.log_likelihood(jnp.ones((5, 3)), jnp.zeros(5, jnp.int32)).shape
    ((5,), ())
    """

    rnn: BiRNN
    scorer: Linear
    crf: CRF

    @classmethod
    def init(
        cls,
        key: Array,
        in_features: int,
        hidden: int,
        tags: int,
        *,
        allowed: tuple[Array, Array, Array] | None = None,
        **options: Any,
    ) -> "BiRNNCRF":
        """``hidden`` features a direction; ``allowed`` goes to ``CRF.init``, ``options`` to ``BiRNN.init``.

        Raises:
            InputError: for a size below 1 or an unknown option.
        """
        keys = jax.random.split(key, 3)
        rnn = BiRNN.init(keys[0], in_features, hidden, **options)
        return cls(
            rnn=rnn,
            scorer=Linear.init(keys[1], rnn.out_features, tags),
            crf=CRF.init(keys[2], tags, allowed=allowed),
        )

    def emissions(self, xs: Array, lengths: Array | None = None) -> Array:
        """The scores of all tags at all steps: [..., time, tags]."""
        return self.scorer(self.rnn(xs, lengths)[0])

    def __call__(self, xs: Array, lengths: Array | None = None) -> Array:
        """The best tag path: int32[..., time], 0 beyond the lengths."""
        return self.crf(self.emissions(xs, lengths), lengths)

    def log_likelihood(self, xs: Array, tags: Array, lengths: Array | None = None) -> Array:
        """``log p(tags | xs)`` [...], for tags int[..., time]."""
        return self.crf.log_likelihood(self.emissions(xs, lengths), tags, lengths)
