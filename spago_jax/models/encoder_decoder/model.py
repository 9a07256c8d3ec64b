# SPDX-License-Identifier: BSD-2-Clause
"""An encoder-decoder with a head."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from spago_jax.core import Array, Module, Rng, buffer, child, static, unflat
from spago_jax.core.initializers import normal
from spago_jax.errors import InputError, did_you_mean
from spago_jax.models.encoder.heads import Classifier, gather, real_tokens
from spago_jax.models.encoder_decoder.config import EncoderDecoderConfig
from spago_jax.models.encoder_decoder.plans import PLANS
from spago_jax.models.encoder_decoder.shift import shift_right
from spago_jax.models.encoder_decoder.stack import Stack
from spago_jax.models.encoder_decoder.state import State
from spago_jax.models.execution import Execution, current_execution
from spago_jax.nn.sizes import check_sizes
from spago_jax.ops.linear import matmul


class WordsHead(Module):
    """What the product with the vocabulary has of its own: a bias [1, vocabulary], and a table where it is not tied."""

    bias: Array | None = buffer(default=None)
    decoder: Array | None = None


class EncoderDecoder(Module):
    """BART, mBART, Marian, Pegasus, T5 or mT5: an encoder reads a text, a decoder writes another one.

    ``logits`` gives the head's numbers for a whole target; ``start``, ``step`` and ``reorder`` are for writing one
    token after the other.

    Source: Lewis et al. (2020), Liu et al. (2020), Junczys-Dowmunt et al. (2018), Zhang et al. (2020), Raffel et al.
    (2020); spaGO v0.7.0 nlp/transformers/bart, cybertron's bart.

    >>> from spago_jax.models.encoder_decoder import StackConfig
    >>> sizes = StackConfig(layers=1, heads=2, intermediate=8)
    >>> config = EncoderDecoderConfig("bart", 9, hidden=4, encoder=sizes, decoder=sizes, positions=6, start=2)
    >>> model = EncoderDecoder.init(jax.random.key(0), config, head="words")
    >>> model.logits(jnp.array([[0, 5, 2]])).shape
    (1, 3, 9)
    >>> logits, state = model.step(jnp.array([[2, 2]]), model.start(jnp.array([[0, 5, 2]]), beams=2, length=4))
    >>> logits.shape, int(state.position)
    ((1, 2, 9), 1)
    """

    source_words: Array
    target_words: Array | None
    encoder: Stack
    decoder: Stack
    head: WordsHead | Classifier | None
    head_name: str = static(default="words")

    @classmethod
    def init(
        cls, key: Array, config: EncoderDecoderConfig, *, head: str = "words", labels: int = 3
    ) -> "EncoderDecoder":
        """Fresh weights, for training from nothing.

        Args:
            key: of the weights.
            config: of both stacks.
            head: ``words``, ``states``, or another one that the architecture has; see ``plans.PLANS``.
            labels: of a classifier.

        Raises:
            InputError: for a head that the architecture does not have, or sizes below 1.
        """
        check_sizes(config.architecture, labels=labels)
        plans = PLANS[config.architecture]
        if head not in plans:
            raise InputError(f"{config.architecture} has no head {head!r}: {did_you_mean(head, plans)}")
        keys = jax.random.split(key, 5)

        def words(key: Array, rows: int) -> Array:
            table = normal(key, (rows, config.hidden), config.initializer_range)
            return table if config.padding is None else table.at[config.padding].set(0.0)

        made: WordsHead | Classifier | None = None
        if head == "words":
            shape = (config.target_words, config.hidden)
            made = WordsHead(
                bias=jnp.zeros((1, config.target_words)) if config.words_bias else None,
                decoder=None if config.tied else normal(keys[4], shape, config.initializer_range),
            )
        elif head != "states":
            made = Classifier.init(keys[4], config, plans[head], labels)
        return cls(
            source_words=words(keys[0], config.vocabulary),
            target_words=None if config.shared else words(keys[1], config.target_words),
            encoder=Stack.init(keys[2], config, decodes=False),
            decoder=Stack.init(keys[3], config, decodes=True),
            head=made,
            head_name=head,
        )

    @classmethod
    def from_arrays(cls, config: EncoderDecoderConfig, head: str, arrays: Mapping[str, Any]) -> "EncoderDecoder":
        """A model of given arrays by path, as ``read_weights`` returns them; labels are counted from the arrays.

        Raises:
            InputError: for a missing or unknown path, or another shape, naming it.
        """
        output = arrays.get("head.output.weight")
        labels = 3 if output is None else output.shape[0]
        return unflat(jax.eval_shape(lambda: cls.init(jax.random.key(0), config, head=head, labels=labels)), arrays)

    @property
    def config(self) -> EncoderDecoderConfig:
        """That of both stacks."""
        return self.encoder.config

    @property
    def dtype(self) -> jnp.dtype:
        """That of the weights."""
        return self.source_words.dtype

    def separate(self) -> "EncoderDecoder":
        """The same model with an array per layer, to write texts and not to be saved; see ``Encoder.separate``."""
        return self.replace(encoder=self.encoder.separate(), decoder=self.decoder.separate())

    def stacked(self) -> "EncoderDecoder":
        """The same model with the arrays of all layers in one, to be saved: the reverse of ``separate``."""
        return self.replace(encoder=self.encoder.stacked(), decoder=self.decoder.stacked())

    def encode(
        self,
        ids: Array,
        mask: Array | None = None,
        *,
        lengths: Array | None = None,
        rng: Rng | None = None,
        execution: Execution | None = None,
    ) -> Array:
        """The encoder's states of a source: int[..., time] -> [..., time, hidden].

        Args:
            ids: int[..., time].
            mask: bool or int[..., time], which tokens are real, wherever they stand.
            lengths: int[...] instead: how many are, with padding on the right.
            rng: randomness of the dropout, or None for none.
            execution: how the layers run; by default as the block around says.

        Raises:
            InputError: for lengths beside a mask, and for more tokens than there are positions.
        """
        how, rng = current_execution(execution), child(rng, "encoder")
        return self.encoder(ids, self.source_words, mask=mask, lengths=lengths, rng=rng, how=how)

    def decode(
        self,
        ids: Array,
        memory: Array,
        memory_mask: Array | None = None,
        *,
        mask: Array | None = None,
        rng: Rng | None = None,
        execution: Execution | None = None,
    ) -> Array:
        """The decoder's states of a whole target, of which each token sees those before it: [..., time, hidden].

        Args:
            ids: int[..., time], the target's tokens as the decoder reads them; see ``shift_right``.
            memory: [..., source, hidden], the encoder's states.
            memory_mask: bool or int[..., source], which tokens of the source are real.
            mask: bool or int[..., time], which tokens of the target are real. None: all; padding on the right is seen
                by nothing that counts.
            rng: randomness of the dropout, or None for none.
            execution: how the layers run; by default as the block around says.

        Raises:
            InputError: for more tokens than there are positions.
        """
        how, rng = current_execution(execution), child(rng, "decoder")
        return self.decoder(ids, self._target_words, memory, memory_mask, mask=mask, rng=rng, how=how)

    def words(self, states: Array) -> Array:
        """The logits of the words: [..., hidden] -> [..., vocabulary], in float32 at least.

        Raises:
            InputError: for a model without this head.
        """
        if not isinstance(self.head, WordsHead):
            raise InputError(f"a model with the head {self.head_name!r} writes no words: open it with head='words'")
        y = matmul(self.scaled(states), self.output_words)
        return y if self.head.bias is None else y + self.head.bias[0].astype(y.dtype)

    def logits(
        self,
        ids: Array,
        mask: Array | None = None,
        *,
        lengths: Array | None = None,
        targets: Array | None = None,
        target_mask: Array | None = None,
        rng: Rng | None = None,
        execution: Execution | None = None,
    ) -> Array:
        """The head's numbers for a source int[..., time] and a target.

        Args:
            ids: int[..., time], the source.
            mask: bool or int[..., time], which tokens are real, wherever they stand.
            lengths: int[...] instead: how many are, with padding on the right.
            targets: int[..., target], what the decoder reads; by default the source, moved to the right as BART does,
                which is what its classifiers read.
            target_mask: bool or int[..., target], which of them are real; None: all.
            rng: randomness of the dropout, or None for none.
            execution: how the layers run; by default as the block around says.

        Returns:
            ``words``: [..., target, vocabulary]. ``states``: [..., target, hidden]. ``sequence-classification``:
            [..., labels], of the state at the last token that ends a text; a batch may mix texts with pairs of texts.
            ``question-answering``: [..., target, 2], start and end.

        Raises:
            InputError: see ``encode`` and ``shift_right``; for targets beside a classifier, whose decoder reads the
                source.
        """
        real = real_tokens(ids, lengths, mask, None)
        memory = self.encode(ids, mask, lengths=lengths, rng=rng, execution=execution)
        if targets is None:
            targets = shift_right(ids, self.config)
        elif isinstance(self.head, Classifier):
            raise InputError(f"the head {self.head_name!r} reads the source; leave `targets` out")
        states = self.decode(targets, memory, real, mask=target_mask, rng=rng, execution=execution)
        if self.head is None:
            return states
        if isinstance(self.head, WordsHead):
            return self.words(states)
        how, rng = current_execution(execution), child(rng, "head")
        if self.head_name == "sequence-classification":
            states = gather(states, self._last_end(ids, real)[..., None])[..., 0, :]
        return self.head(states, rng=rng, how=how)

    def start(
        self, ids: Array, mask: Array | None = None, *, beams: int, length: int, execution: Execution | None = None
    ) -> State:
        """Reads a source, and makes room for the tokens that are written.

        The keys and values of the source are computed once per text, and all its beams read the same.

        Args:
            ids: int[batch, source].
            mask: bool or int[batch, source], which tokens are real, wherever they stand.
            beams: how many texts are written at a time for each source.
            length: how many tokens each may have, the first one among them.
            execution: how the encoder's layers run; by default as the block around says.

        Raises:
            InputError: see ``encode``; and for a length that the decoder has no positions for.
        """
        config = self.config
        check_sizes(config.architecture, beams=beams, length=length)
        if config.longest is not None and length > config.longest:
            raise InputError(f"length is {length}, and {config.architecture} has positions for {config.longest}")
        memory = self.encode(ids, mask, execution=execution)
        real = None if mask is None else jnp.asarray(mask).astype(bool)
        return State.empty(*self.decoder.project(memory), real, beams=beams, length=length)

    def step(self, ids: Array, state: State, *, execution: Execution | None = None) -> tuple[Array, State]:
        """The logits of the next token of every beam, and the state after reading its last one.

        Args:
            ids: int[batch, beams], the last token of each beam.
            state: of ``start``, or of the step before. More steps than it has room for are not noticed: a compiled
                program cannot raise.
            execution: how the layers run; by default as the block around says.

        Returns:
            [batch, beams, vocabulary] in float32 at least, and the state.
        """
        x, state = self.decoder.step(ids, self._target_words, state, current_execution(execution))
        return self.words(x), state

    def reorder(self, state: State, parents: Array) -> State:
        """The state in which each beam continues another: int[batch, beams], which one."""
        return state.reorder(parents)

    def scaled(self, states: Array) -> Array:
        """The states as the product with ``output_words`` takes them: [..., hidden], divided by its root in some."""
        if not self.config.scales_words:
            return states
        return states * jnp.asarray(self.config.hidden**-0.5, states.dtype)

    @property
    def output_words(self) -> Array:
        """The table [vocabulary, hidden] that states are multiplied with."""
        own = self.head.decoder if isinstance(self.head, WordsHead) else None
        return self._target_words if own is None else own

    @property
    def _target_words(self) -> Array:
        return self.source_words if self.target_words is None else self.target_words

    def _last_end(self, ids: Array, real: Array | None) -> Array:
        """The place of the last token that ends a text; of the last real one where a text was cut."""
        whole = jnp.ones(ids.shape, bool) if real is None else real
        end = jnp.isin(ids, jnp.asarray(self.config.end, jnp.int32)) & whole
        time = ids.shape[-1]
        return jnp.argmax(jnp.where(end, 2 * time, jnp.where(whole, time, 0)) + jnp.arange(time), axis=-1)
