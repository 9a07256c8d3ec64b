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
from spago_jax.train.task import Batch, Loss, Objective


class NextCharacterObjective(Objective[CharacterLM]):
    """The cross-entropy of the next characters, in nats per character."""

    def __init__(self, config: CharacterLMConfig, processor: CharacterProcessor):
        self.config, self.alphabet = config, len(processor.alphabet)
        self._states: dict[int, Any] = {}

    def init(self, key: Array) -> CharacterLM:
        """A fresh model."""
        return CharacterLM.init(key, self.alphabet, **self.config.model_dump())

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
        """The summed cross-entropy and the number of characters of each row."""
        lengths = batch["lengths"]
        losses = cross_entropy(outputs["logits"], batch["targets"])
        mask = length_mask(lengths, losses.shape[-1])
        return {"nats": jnp.where(mask, losses, 0.0).sum(-1), "count": lengths}


def as_carry(state: Any, carry: Any) -> Any:
    """The state in the carry's own dtypes: it is carried from one compiled step to the next."""
    return jax.tree.map(lambda new, old: new.astype(old.dtype), state, carry)
