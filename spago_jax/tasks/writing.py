# SPDX-License-Identifier: BSD-2-Clause
"""Writes on from a prompt with a trained character language model."""

import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from spago_jax.compiler import compile
from spago_jax.errors import InputError
from spago_jax.generation.sampling import sample
from spago_jax.models.character_lm.recipe import CharacterLMRecipe
from spago_jax.tasks.run import TrainedRun

_PIECE = 64  # characters written in one call of the device


class Writer:
    """A trained character language model, ready to use."""

    def __init__(self, trained: TrainedRun):
        assert isinstance(trained.recipe, CharacterLMRecipe)
        self._model = trained.model
        self._alphabet = trained.recipe.alphabet
        self._ids = {char: i for i, char in enumerate(self._alphabet)}
        self._read = compile(lambda model, ids, lengths, state: model(ids, lengths, state=state), name="read")
        self._write = compile(sample, static=("count", "top_k"), name="write")

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text.

        Raises:
            InputError: for a character that the model's alphabet does not have, naming it.
        """
        for place, char in enumerate(text):
            if char not in self._ids:
                raise InputError(
                    f"character {char!r} (at {place}) is not among the model's {len(self._ids)} characters"
                )
        return np.array([self._ids[char] for char in text], np.int32)

    def write(
        self, prompt: str, count: int = 400, *, temperature: float = 0.8, seed: int = 0, top_k: int | None = None
    ) -> Iterator[str]:
        """Writes ``count`` characters on from a prompt, in pieces as they come.

        Args:
            prompt: what was written so far; empty for a line end.
            count: how many characters.
            temperature: above 1 wilder, below 1 tamer, 0 always the most probable one.
            seed: of the drawing.
            top_k: choose among so many most probable characters only.

        Raises:
            InputError: for a character that the model does not know, or a bad temperature.
        """
        if temperature < 0 or not math.isfinite(temperature):
            raise InputError(f"temperature = {temperature}: expected a number of at least 0")
        logits, state = self._after(prompt or self._start())
        key = jax.random.key(seed)
        for at in range(0, count, _PIECE):
            ids, _, logits, state = self._write(
                self._model, logits, state, jax.random.fold_in(key, at), temperature, count=_PIECE, top_k=top_k
            )
            yield "".join(self._alphabet[i] for i in np.asarray(ids)[: count - at])

    def nats(self, text: str) -> float:
        """The mean cross-entropy of a text's characters after the first, in nats.

        Raises:
            InputError: for a text of fewer than two characters, or a character that the model does not know.
        """
        if len(text) < 2:
            raise InputError("a text of fewer than two characters has no next character to predict")
        ids = self.encode(text)
        state, total = self._model.initial_state(), 0.0
        for at in range(0, len(ids) - 1, 512):
            piece = ids[at : at + 513]
            logits, state = self._read_padded(piece[:-1], state)
            scores = jax.nn.log_softmax(np.asarray(logits, np.float64)[: len(piece) - 1])
            total -= float(np.asarray(scores)[np.arange(len(piece) - 1), piece[1:]].sum())
        return total / (len(ids) - 1)

    def _start(self) -> str:
        return "\n" if "\n" in self._ids else self._alphabet[0]

    def _after(self, prompt: str) -> tuple[jax.Array, object]:
        ids, state = self.encode(prompt), self._model.initial_state()
        logits = jnp.zeros(len(self._alphabet))
        for at in range(0, len(ids), 512):
            piece = ids[at : at + 512]
            found, state = self._read_padded(piece, state)
            logits = found[len(piece) - 1]
        return logits, state

    def _read_padded(self, ids: np.ndarray, state: object) -> tuple[jax.Array, object]:
        padded = np.zeros(64 if len(ids) <= 64 else 512, np.int32)
        padded[: len(ids)] = ids
        return self._read(self._model, padded, np.int32(len(ids)), state)
