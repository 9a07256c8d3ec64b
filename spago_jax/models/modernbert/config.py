# SPDX-License-Identifier: BSD-2-Clause
"""The configuration of ModernBERT."""

import dataclasses

from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.encoder.config import check_activation, check_padding
from spago_jax.nn.sizes import check_sizes

POOLINGS = {"cls": "first", "mean": "mean"}


@dataclasses.dataclass(frozen=True)
class ModernBertConfig:
    """The sizes and switches of ModernBERT (Warner et al., 2024).

    Attributes:
        vocabulary: rows of the word table.
        hidden: the size of a state.
        layers: how many there are.
        heads: of attention.
        intermediate: the size inside the feed-forward block.
        positions: the longest text that it was trained for; positions are rotations, so there is no table.
        full: of each layer, whether its tokens see the whole text, or ``local_attention`` tokens around them; empty: of
            every third, from the first.
        local_attention: the width of the window; ``local_attention // 2`` tokens to each side.
        full_theta: the base of the rotations in layers that see the whole text.
        local_theta: the same in the others.
        activation: by transformers' name.
        eps: of the layer norms.
        norm_bias: whether layer norms have biases.
        attention_bias: whether the layers of attention have.
        mlp_bias: whether those of the feed-forward block have.
        decoder_bias: whether the masked-word head's product has.
        classifier_bias: whether the layer before a head's last one has.
        classifier_activation: after that layer.
        pooling: of a classifier: ``cls`` or ``mean``.
        padding: the pad id.
        tied: whether the masked-word head's product is with the word table.
        dropout: after the embeddings.
        attention_dropout: on the attention weights and after attention.
        mlp_dropout: inside the feed-forward block.
        classifier_dropout: before a classifier.
        initializer_range: the standard deviation of fresh weights.
        initializer_cutoff: where their distribution is cut off, in standard deviations.

    Raises:
        InputError: for sizes that do not fit together, naming the size and its value.

    >>> ModernBertConfig(layers=4).sees_all
    (True, False, False, True)
    """

    vocabulary: int = 50368
    hidden: int = 768
    layers: int = 22
    heads: int = 12
    intermediate: int = 1152
    positions: int = 8192
    full: tuple[bool, ...] = ()
    local_attention: int = 128
    full_theta: float = 160_000.0
    local_theta: float = 10_000.0
    activation: str = "gelu"
    eps: float = 1e-5
    norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    decoder_bias: bool = True
    classifier_bias: bool = False
    classifier_activation: str = "gelu"
    pooling: str = "cls"
    padding: int | None = 50283
    tied: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    mlp_dropout: float = 0.0
    classifier_dropout: float = 0.0
    initializer_range: float = 0.02
    initializer_cutoff: float = 2.0

    def __post_init__(self) -> None:
        sizes = ("vocabulary", "hidden", "layers", "heads", "intermediate", "positions")
        check_sizes("modernbert", **{name: getattr(self, name) for name in sizes})
        check_padding("modernbert", self.padding, self.vocabulary)
        check_activation(self.activation, "modernbert: activation")
        check_activation(self.classifier_activation, "modernbert: classifier_activation")
        if self.hidden % self.heads or (self.hidden // self.heads) % 2:
            raise InputError(
                f"modernbert: {self.heads} heads of {self.hidden} hidden features; expected heads of an even size"
            )
        if len(self.sees_all) != self.layers:
            raise InputError(
                f"modernbert: layer_types has {len(self.full)} entries, and there are {self.layers} layers"
            )
        if self.pooling not in POOLINGS:
            raise InputError(f"modernbert: pooling is {self.pooling!r}, {did_you_mean(self.pooling, POOLINGS)}")

    @property
    def architecture(self) -> str:
        """Its name, as of every encoder."""
        return "modernbert"

    @property
    def sees_all(self) -> tuple[bool, ...]:
        """Of each layer, whether its tokens see the whole text."""
        return self.full or tuple(layer % 3 == 0 for layer in range(self.layers))

    @property
    def word_size(self) -> int:
        """The size of a word's vector."""
        return self.hidden

    @property
    def longest(self) -> int:
        """How many tokens a text may have."""
        return self.positions

    @property
    def window(self) -> int:
        """How many tokens to each side a token sees in a layer with a window."""
        return self.local_attention // 2

    @property
    def classifier_pooling(self) -> str:
        """The pooling of a classifier."""
        return POOLINGS[self.pooling]

    @property
    def choice_pooling(self) -> str:
        """The pooling of the multiple-choice head, which looks for the first real token."""
        return "first-real" if self.pooling == "cls" else "mean"
