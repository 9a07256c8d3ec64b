# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of tasks whose model is an encoder-decoder: the cross-entropy of the targets, read by the teacher."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax.numpy as jnp

from spago_jax.core import Array, Rng
from spago_jax.core.tree import PyTree
from spago_jax.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from spago_jax.models.encoder_decoder.model import WordsHead
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask
from spago_jax.ops.vocabulary_loss import vocabulary_cross_entropy
from spago_jax.train.task import Batch, Loss, Objective


class TextToTextObjective(Objective[EncoderDecoder]):
    """``sum over tokens of CE(softmax(decode(targets[:-1], encode(source))), targets)`` with label smoothing.

    The decoder reads the right tokens, whatever it would have written (teacher forcing). Every token counts as much,
    the mark at the end among them; padding does not. The loss is that of PyTorch's ``cross_entropy`` with the mean over
    the tokens of a batch (of all its micro-batches, where gradients are accumulated).

    Args:
        config: of the model.
        label_smoothing: the share of the target that is spread over the whole vocabulary.
        chunk: tokens of the vocabulary whose logits are in memory at once; None: all.
    """

    head: ClassVar[str] = "words"

    def __init__(self, config: EncoderDecoderConfig, *, label_smoothing: float = 0.0, chunk: int | None = None):
        self.config, self.label_smoothing, self.chunk = config, label_smoothing, chunk

    def init(self, key: Array) -> EncoderDecoder:
        """A fresh model; ``init.from`` puts weights in."""
        return EncoderDecoder.init(key, self.config, head=self.head)

    def loss(self, model: EncoderDecoder, batch: Batch, carry: PyTree, rng: Rng | None) -> Loss:
        """The sum over the tokens of the targets, and how many they are."""
        real = length_mask(batch["label_lengths"], batch["labels"].shape[-1])
        states = self._states(model, batch, rng)
        losses = self._losses(model, states, batch["labels"])
        return Loss(jnp.where(real, losses, 0.0).sum(), real.sum().astype(jnp.float32))

    def _losses(self, model: EncoderDecoder, states: Array, labels: Array) -> Array:
        """The losses of the logits ``model.words(states)``, which need not be in memory all at once."""
        how: Any = {"label_smoothing": self.label_smoothing}
        if self.chunk is None:
            return cross_entropy(model.words(states), labels, **how)
        assert isinstance(model.head, WordsHead)
        bias = None if model.head.bias is None else model.head.bias[0]
        states, weight = model.scaled(states), model.output_words
        return vocabulary_cross_entropy(states, weight, labels, bias=bias, chunk=self.chunk, **how)

    def predict(self, model: EncoderDecoder, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """The ``logits`` of the next token at each place of the targets [batch, time, vocabulary]."""
        return {"logits": model.words(self._states(model, batch))}, carry

    def measure(self, model: EncoderDecoder, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The summed cross-entropy of each row, without smoothing, its tokens, and how many of them were foreseen."""
        labels, logits = batch["labels"], outputs["logits"]
        real = length_mask(batch["label_lengths"], labels.shape[-1])
        right = real & (jnp.argmax(logits, -1) == labels)
        nats = jnp.where(real, cross_entropy(logits, labels), 0.0).sum(-1)
        return {"nats": nats, "tokens": real.sum(-1), "right": right.sum(-1)}

    def _states(self, model: EncoderDecoder, batch: Batch, rng: Rng | None = None) -> Array:
        mask = length_mask(batch["lengths"], batch["ids"].shape[-1])
        memory = model.encode(batch["ids"], mask, rng=rng)
        return model.decode(batch["targets"], memory, mask, rng=rng)
