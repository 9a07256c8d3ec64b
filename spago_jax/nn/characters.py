# SPDX-License-Identifier: BSD-2-Clause
"""Encoders of words by their characters: int[..., characters] and lengths int[...] -> [..., features]."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, static
from spago_jax.core.rng import Rng, child
from spago_jax.errors import InputError
from spago_jax.nn.convolution import Convolution1d
from spago_jax.nn.embedding import Embedding
from spago_jax.nn.recurrent.birnn import BiRNN
from spago_jax.ops.activations import activation, parse_activation
from spago_jax.ops.conv import max_over_time
from spago_jax.ops.dropout import check_rate, dropout


class CharacterCNN(Module):
    """Convolutions of several widths over the characters: int[..., characters] -> [..., features].

    ``y = max_t conv(E[c])_t`` for each width, the maximum over the positions of each filter.

    Source: Ma and Hovy (2016); Kim et al. (2016). A word without characters gives zeros.

    >>> encoder = CharacterCNN.init(jax.random.key(0), characters=100, embedding_features=8, filters=5, widths=(2, 3))
    >>> encoder(jnp.ones((4, 7, 12), int), jnp.full((4, 7), 12)).shape
    (4, 7, 10)
    """

    embedding: Embedding
    convolutions: tuple[Convolution1d, ...]
    activation: str = static(default="relu")
    dropout: float = static(default=0.0)

    @classmethod
    def init(
        cls,
        key: Array,
        characters: int,
        *,
        embedding_features: int = 30,
        filters: int = 30,
        widths: Sequence[int] = (3,),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> "CharacterCNN":
        """``filters`` filters of each width over vectors of ``embedding_features``.

        Raises:
            InputError: for no width, a size below 1, an unknown activation, or a dropout outside [0, 1).
        """
        if not widths:
            raise InputError("CharacterCNN: widths is empty, expected at least one filter width such as (3,)")
        parse_activation(activation)
        first, *rest = jax.random.split(key, 1 + len(widths))
        return cls(
            embedding=Embedding.init(first, characters, embedding_features),
            convolutions=tuple(
                Convolution1d.init(k, embedding_features, filters, width, activation=activation)
                for k, width in zip(rest, widths, strict=True)
            ),
            activation=activation,
            dropout=check_rate(dropout, "dropout"),
        )

    @property
    def out_features(self) -> int:
        """The size of a word's vector."""
        return sum(layer.weight.shape[0] for layer in self.convolutions)

    def __call__(self, ids: Array, lengths: Array, *, rng: Rng | None = None) -> Array:
        """int[..., characters], int[...] -> [..., features]; dropout lies on the character vectors."""
        xs = dropout(self.embedding(ids), self.dropout, child(rng, "characters"))
        act = activation(self.activation)
        pooled = [max_over_time(act(layer(xs, lengths)), lengths) for layer in self.convolutions]
        return jnp.concatenate(pooled, axis=-1)


class CharacterLSTM(Module):
    """The final states of a BiLSTM over the characters: int[..., characters] -> [..., features].

    ``y = [forward; backward]``. With ``last``, the outputs at the last character instead: of the backward LSTM the
    state after one step. Source: Lample et al. (2016); Flair's ``CharacterEmbeddings`` for ``last``.

    >>> encoder = CharacterLSTM.init(jax.random.key(0), characters=100, embedding_features=8, hidden=5)
    >>> encoder(jnp.ones((4, 7, 12), int), jnp.full((4, 7), 12)).shape
    (4, 7, 10)
    """

    embedding: Embedding
    rnn: BiRNN
    dropout: float = static(default=0.0)
    last: bool = static(default=False)

    @classmethod
    def init(
        cls,
        key: Array,
        characters: int,
        *,
        embedding_features: int = 25,
        hidden: int = 25,
        dropout: float = 0.0,
        last: bool = False,
    ) -> "CharacterLSTM":
        """``hidden`` units a direction over vectors of ``embedding_features``.

        Raises:
            InputError: for a size below 1, or a dropout outside [0, 1).
        """
        first, second = jax.random.split(key)
        return cls(
            embedding=Embedding.init(first, characters, embedding_features),
            rnn=BiRNN.init(second, embedding_features, hidden, cell="lstm"),
            dropout=check_rate(dropout, "dropout"),
            last=last,
        )

    @property
    def out_features(self) -> int:
        """The size of a word's vector."""
        return self.rnn.out_features

    def __call__(self, ids: Array, lengths: Array, *, rng: Rng | None = None) -> Array:
        """int[..., characters], int[...] -> [..., features]; dropout lies on the character vectors."""
        xs = dropout(self.embedding(ids), self.dropout, child(rng, "characters"))
        ys, (first, last) = self.rnn(xs, lengths)
        if self.last:
            at = jnp.maximum(lengths - 1, 0)[..., None, None]
            return jnp.take_along_axis(ys, at, axis=-2, mode="clip")[..., 0, :]  # zeros for a word without characters
        return jnp.concatenate([first.hidden, last.hidden], axis=-1)
