# SPDX-License-Identifier: BSD-2-Clause
"""The configuration of an encoder-decoder: small, frozen and hashable, since compiled programs compare it."""

import dataclasses
from collections.abc import Callable

from spago_jax.core import Array
from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.encoder.config import ACTIVATIONS, check_activation, check_padding
from spago_jax.nn.sizes import check_sizes


@dataclasses.dataclass(frozen=True)
class Family:
    """What an architecture fixes, and no key of a config.json says.

    Attributes:
        norm_first: whether a layer norm stands before each block, and not after each sum.
        norms_embeddings: whether one stands on the embeddings.
        norms_states: whether one stands on the states of the last layer.
        positions: ``learned``, ``sinusoidal`` or ``relative``.
        offset: the row of the first position in a table of learned ones.
        rotates: whether the decoder's input begins with the last token of the target, the code of a language.
        root: whether norms divide by the root mean square and subtract no mean.
        biases: whether the linear layers have biases.
        scores_scale: whether the scores of attention are divided by the root of a head's size.
        pads_learn: whether the pad's vector gets a gradient.
    """

    norm_first: bool = False
    norms_embeddings: bool = True
    norms_states: bool = False
    positions: str = "learned"
    offset: int = 0
    rotates: bool = False
    root: bool = False
    biases: bool = True
    scores_scale: bool = True
    pads_learn: bool = False


_T5 = Family(True, False, True, "relative", root=True, biases=False, scores_scale=False, pads_learn=True)

FAMILIES: dict[str, Family] = {
    "bart": Family(offset=2),
    "mbart": Family(True, True, True, offset=2, rotates=True),
    "marian": Family(False, False, False, "sinusoidal"),
    "pegasus": Family(True, False, True, "sinusoidal"),
    "t5": _T5,
    "mt5": _T5,
}
"""The families by architecture."""


@dataclasses.dataclass(frozen=True)
class StackConfig:
    """The sizes of one of the two stacks of layers.

    Attributes:
        layers: how many.
        heads: of attention.
        intermediate: the size inside the feed-forward block.
        layer_dropout: how probably a layer is skipped in training (Fan et al., 2019).
    """

    layers: int = 12
    heads: int = 16
    intermediate: int = 4096
    layer_dropout: float = 0.0


@dataclasses.dataclass(frozen=True)
class EncoderDecoderConfig:
    """The sizes and switches of BART, mBART, Marian, Pegasus, T5 and mT5.

    Attributes:
        architecture: ``bart``, ``mbart``, ``marian``, ``pegasus``, ``t5`` or ``mt5``: what ``family`` fixes, which
            heads and which names of weights it has.
        vocabulary: rows of the table of words.
        target_vocabulary: rows of the decoder's, where it has its own; 0: as many.
        hidden: the size of a state.
        encoder: the sizes of the encoder.
        decoder: the sizes of the decoder.
        head_size: of attention; 0: the size of a state, divided by the heads.
        positions: how many tokens a text may have; 0: any number (T5).
        relative: buckets of relative positions; 0: there are none.
        farthest: the distance from which they share a bucket.
        scales_embeddings: whether words are multiplied by the root of the size of a state.
        scales_words: whether states are divided by it before the product with the vocabulary.
        words_bias: whether that product has a bias, which is not trained.
        shared: whether encoder and decoder have one table of words.
        tied: whether the product with the vocabulary is with the decoder's words.
        activation: by transformers' name.
        gated: whether the feed-forward block has a gate.
        eps: of the norms.
        padding: the pad id.
        start: the first token of what the decoder reads; None: not said.
        end: the tokens that end a text.
        dropout: after the embeddings and after each block.
        attention_dropout: on the attention weights.
        activation_dropout: inside the feed-forward block.
        classifier_dropout: before each layer of a classifier.
        initializer_range: the standard deviation of fresh weights; T5's are multiplied by it.

    Raises:
        InputError: for sizes that do not fit together, naming the size and its value.

    >>> sizes = StackConfig(layers=1, heads=2, intermediate=8)
    >>> EncoderDecoderConfig("marian", 10, hidden=4, encoder=sizes, decoder=sizes, positions=6).longest
    6
    """

    architecture: str = "bart"
    vocabulary: int = 50265
    target_vocabulary: int = 0
    hidden: int = 1024
    encoder: StackConfig = StackConfig()
    decoder: StackConfig = StackConfig()
    head_size: int = 0
    positions: int = 1024
    relative: int = 0
    farthest: int = 128
    scales_embeddings: bool = False
    scales_words: bool = False
    words_bias: bool = True
    shared: bool = True
    tied: bool = True
    activation: str = "gelu"
    gated: bool = False
    eps: float = 1e-5
    padding: int | None = 1
    start: int | None = None
    end: tuple[int, ...] = (2,)
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    classifier_dropout: float = 0.0
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        name = self.architecture
        if name not in FAMILIES:
            raise InputError(f"architecture {name!r} is not known: {did_you_mean(name, FAMILIES)}")
        check_sizes(name, vocabulary=self.vocabulary, hidden=self.hidden, decoder_vocabulary=self.target_words)
        for side, stack in (("encoder", self.encoder), ("decoder", self.decoder)):
            check_sizes(f"{name}'s {side}", layers=stack.layers, heads=stack.heads, intermediate=stack.intermediate)
            if not self.head_size and self.hidden % stack.heads:
                raise InputError(f"{name}'s {side}: {stack.heads} heads do not divide {self.hidden} hidden features")
        if self.family.positions == "relative":
            check_sizes(name, head_size=self.head_size)
            if not 4 <= self.relative < 2 * self.farthest:
                raise InputError(
                    f"{name}: {self.relative} buckets of relative positions up to a distance of {self.farthest}; "
                    "expected at least 4, and less than twice the distance"
                )
        else:
            check_sizes(name, positions=self.positions)
        check_padding(name, self.padding, min(self.vocabulary, self.target_words))
        check_activation(self.activation, f"{name}: activation")

    @property
    def family(self) -> Family:
        """What the architecture fixes."""
        return FAMILIES[self.architecture]

    @property
    def target_words(self) -> int:
        """Rows of the table of words that the decoder writes."""
        return self.target_vocabulary or self.vocabulary

    @property
    def longest(self) -> int | None:
        """How many tokens a text may have; None: any number."""
        return None if self.family.positions == "relative" else self.positions

    def std(self, into: int) -> float:
        """The standard deviation of fresh weights that multiply so many numbers."""
        return self.initializer_range * (into**-0.5 if self.family.positions == "relative" else 1.0)

    def function(self) -> Callable[[Array], Array]:
        """The activation."""
        return ACTIVATIONS[self.activation]
