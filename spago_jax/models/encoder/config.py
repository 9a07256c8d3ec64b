# SPDX-License-Identifier: BSD-2-Clause
"""The configuration of an encoder: small, frozen and hashable, since compiled programs compare it at every call."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from spago_jax.core import Array
from spago_jax.errors import InputError, did_you_mean
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops import activations

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": activations.gelu,
    "gelu_python": activations.gelu,
    "gelu_10": activations.gelu_10,
    "gelu_new": activations.gelu_tanh,
    "gelu_fast": activations.gelu_tanh,
    "gelu_accurate": activations.gelu_tanh,
    "gelu_pytorch_tanh": activations.gelu_tanh,
    "gelu_python_tanh": activations.gelu_tanh,
    "quick_gelu": activations.quick_gelu,
    "relu": jax.nn.relu,
    "relu2": activations.relu_squared,
    "relu6": jax.nn.relu6,
    "leaky_relu": jax.nn.leaky_relu,
    "hardswish": jax.nn.hard_swish,
    "silu": jax.nn.silu,
    "swish": jax.nn.silu,
    "mish": jax.nn.mish,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "linear": activations.identity,
}
"""Activations by the names that configurations of transformers give them."""


def check_activation(name: str, where: str) -> None:
    """Refuses an activation that is not known.

    Raises:
        InputError: naming the key and the nearest name.
    """
    if name not in ACTIVATIONS:
        raise InputError(f"{where} is {name!r}, {did_you_mean(str(name), ACTIVATIONS)}")


def check_padding(architecture: str, padding: int | None, vocabulary: int) -> None:
    """Refuses a pad id that is not in the vocabulary.

    Raises:
        InputError: with both numbers.
    """
    if padding is not None and not 0 <= padding < vocabulary:
        raise InputError(f"{architecture}: the pad id is {padding}, expected a row of a vocabulary of {vocabulary}")


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """The sizes and switches of BERT and of the architectures that differ from it in details.

    Attributes:
        architecture: ``bert``, ``roberta``, ``xlm-roberta``, ``camembert``, ``distilbert``, ``electra``, ``albert`` or
            ``mpnet``: which heads and which names of weights it has.
        vocabulary: rows of the word table.
        hidden: the size of a state.
        layers: how many layers run.
        heads: of attention.
        intermediate: the size inside the feed-forward block.
        positions: rows of the position table.
        types: rows of the token-type table; 0: there is none.
        embedding: the size of a word's vector; 0: that of a state.
        projects: whether a word's vector is mapped to the size of a state.
        activation: by transformers' name.
        eps: of the layer norms.
        count_from: None: a token's position is its place, from 0. A pad id: its position is this id and the number of
            tokens so far that are not pads, and that of a pad is the id itself.
        relative: rows of the table of relative positions, whose entry is added to the scores; 0: there is none.
        groups: how many groups of layers have parameters of their own (ALBERT); 0: every layer has.
        inner: how many layers a group has.
        padding: the pad id, whose vector gets no gradient.
        tied: whether the masked-word head's product is with the word table.
        dropout: after the embeddings and after each block.
        attention_dropout: on the attention weights.
        classifier_dropout: before a classifier; None: as ``dropout``.
        answer_dropout: before the question-answering head.
        summary_activation: of ELECTRA's multiple-choice head; None: none.
        summary_dropout: of the same.
        initializer_range: the standard deviation of fresh weights.

    Raises:
        InputError: for sizes that do not fit together, naming the size and its value.

    >>> EncoderConfig(vocabulary=10, hidden=4, layers=1, heads=2, intermediate=8, positions=6).longest
    6
    """

    architecture: str = "bert"
    vocabulary: int = 30522
    hidden: int = 768
    layers: int = 12
    heads: int = 12
    intermediate: int = 3072
    positions: int = 512
    types: int = 2
    embedding: int = 0
    projects: bool = False
    activation: str = "gelu"
    eps: float = 1e-12
    count_from: int | None = None
    relative: int = 0
    groups: int = 0
    inner: int = 1
    padding: int | None = 0
    tied: bool = True
    dropout: float = 0.1
    attention_dropout: float = 0.1
    classifier_dropout: float | None = None
    answer_dropout: float = 0.0
    summary_activation: str | None = None
    summary_dropout: float = 0.0
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        sizes = ("vocabulary", "hidden", "layers", "heads", "intermediate", "positions", "word_size", "inner")
        check_sizes(self.architecture, **{name: getattr(self, name) for name in sizes})
        if self.hidden % self.heads:
            raise InputError(f"{self.architecture}: {self.heads} heads do not divide {self.hidden} hidden features")
        check_padding(self.architecture, self.padding, self.vocabulary)
        if self.longest < 1:
            raise InputError(
                f"{self.architecture}: positions is {self.positions}, and they are counted from the pad id "
                f"{self.count_from}; expected at least {(self.count_from or 0) + 2}"
            )
        if self.groups and self.groups > self.layers:
            raise InputError(f"{self.architecture}: {self.groups} groups of layers for {self.layers} layers")
        if self.word_size != self.hidden and not self.projects:
            raise InputError(
                f"{self.architecture}: embedding is {self.embedding} and hidden {self.hidden}; they differ only where "
                "the embeddings are projected (ELECTRA, ALBERT)"
            )
        check_activation(self.activation, f"{self.architecture}: activation")
        if self.summary_activation:
            check_activation(self.summary_activation, f"{self.architecture}: summary_activation")

    @property
    def word_size(self) -> int:
        """The size of a word's vector."""
        return self.embedding or self.hidden

    @property
    def longest(self) -> int:
        """How many tokens a text may have."""
        return self.positions if self.count_from is None else self.positions - self.count_from - 1

    @property
    def stacked(self) -> int:
        """How many layers have parameters of their own."""
        return self.groups * self.inner if self.groups else self.layers

    @property
    def order(self) -> tuple[tuple[int, ...], ...]:
        """The rows of the stacked parameters that each layer runs through."""
        if not self.groups:
            return tuple((row,) for row in range(self.layers))
        first = [int(layer / (self.layers / self.groups)) * self.inner for layer in range(self.layers)]
        return tuple(tuple(range(row, row + self.inner)) for row in first)

    def function(self) -> Callable[[Array], Array]:
        """The activation."""
        return ACTIVATIONS[self.activation]
