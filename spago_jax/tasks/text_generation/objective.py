# SPDX-License-Identifier: BSD-2-Clause
"""The traced half of character language models."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.core import Array, Rng
from spago_jax.models.character_lm import CharacterLM
from spago_jax.ops.losses import cross_entropy
from spago_jax.ops.masks import length_mask
from spago_jax.tasks.text_generation.config import CharacterLMConfig
from spago_jax.tasks.text_generation.processor import CharacterProcessor
from spago_jax.text.alphabet import ByteAlphabet
from spago_jax.train.task import Batch, Loss, Objective


class NextCharacterObjective(Objective[CharacterLM]):
    """The cross-entropy of the next characters, in nats per character."""

    def __init__(self, config: CharacterLMConfig, processor: CharacterProcessor):
        self.config, self.alphabet = config, len(processor.alphabet)
        self.bytes = isinstance(processor.alphabet, ByteAlphabet)
        self._states: dict[int, Any] = {}

    def init(self, key: Array) -> CharacterLM:
        """A fresh model."""
        of_the_text = {"characters", "direction", "min_count", "unknown"}
        return CharacterLM.init(key, self.alphabet, **self.config.model_dump(exclude=of_the_text))

    def initial_carry(self, batch_size: int) -> Any:
        """Zero states."""
        if batch_size not in self._states:
            model = jax.eval_shape(self.init, jax.random.key(0))
            self._states[batch_size] = jax.eval_shape(lambda m: m.initial_state((batch_size,)), model)
        return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), self._states[batch_size])

    def loss(self, model: CharacterLM, batch: Batch, carry: Any, rng: Rng) -> Loss:
        """The cross-entropy of the next characters."""
        logits, state = model(batch["inputs"], state=carry, rng=rng)
        losses = cross_entropy(logits, batch["targets"])
        return Loss(losses.sum(), jnp.asarray(losses.size, jnp.float32), as_carry(state, carry))

    def predict(self, model: CharacterLM, batch: Batch, carry: Any = None) -> tuple[dict[str, Array], Any]:
        """The ``logits`` of every next character [batch, time, alphabet], and the state after the last one read."""
        logits, state = model(batch["inputs"], batch["lengths"], state=carry)
        return {"logits": logits}, state if carry is None else as_carry(state, carry)

    def measure(self, model: CharacterLM, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The summed cross-entropy and the number of characters of each row, also where ids are bytes."""
        lengths, targets = batch["lengths"], batch["targets"]
        losses = cross_entropy(outputs["logits"], targets)
        mask = length_mask(lengths, losses.shape[-1])
        nats = jnp.where(mask, losses, 0.0).sum(-1)
        if not self.bytes:
            return {"nats": nats, "count": lengths}
        # In UTF-8 each character has one byte that is not of the form 10xxxxxx: its first.
        return {"nats": nats, "count": (mask & ((targets & 0xC0) != 0x80)).sum(-1)}


def as_carry(state: Any, carry: Any) -> Any:
    """The state in the carry's own dtypes: it is carried from one compiled step to the next."""
    return jax.tree.map(lambda new, old: new.astype(old.dtype), state, carry)
