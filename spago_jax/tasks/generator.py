# SPDX-License-Identifier: BSD-2-Clause
"""Generator: writes on from prompts with a language model that carries a state. Needs NumPy alone."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from spago_jax.data.processor import Answer, Paint
from spago_jax.errors import InputError
from spago_jax.tasks.predictor import Predictor, written

_PIECE = 64  # characters written in one call of the device
_READ = 512  # characters of a prompt read in one call


class Engine(Protocol):
    """What runs the model, one text at a time."""

    def start(self) -> Any:
        """The state before the first character."""
        ...

    def read(self, ids: np.ndarray, length: int, state: Any) -> tuple[np.ndarray, Any]:
        """The logits [time, vocabulary] of what follows each of the first ``length`` ids, and the state after them."""
        ...

    def write(
        self, logits: Any, state: Any, count: int, seed: int, at: int, temperature: float, top_k: int | None
    ) -> tuple[np.ndarray, Any, Any]:
        """``count`` more ids, drawn with the seed and the place ``at``; then logits and state to go on from."""
        ...


class Generator(Predictor):
    """A trained language model, ready to write.

    Args:
        name: of the task.
        processor: from text to ids and back.
        engine: what runs the model.
    """

    def __init__(self, name: str, processor: Any, engine: Engine):
        self.name, self.processor, self.engine = name, processor, engine

    def stream(
        self,
        inputs: Iterable[Any],
        *,
        at_once: int | None = None,
        characters: int = 400,
        temperature: float = 0.8,
        seed: int = 0,
        top_k: int | None = None,
    ) -> Iterator[Answer]:
        """The continuation of each prompt, one after the other.

        Args:
            inputs: prompts; an empty one stands for the beginning of a text.
            at_once: prompts are answered one by one, whatever it is.
            characters: how many to write.
            temperature: above 1 wilder, below 1 tamer, 0 always the most probable one.
            seed: of the drawing.
            top_k: choose among so many most probable characters only.

        Raises:
            InputError: for a character that the model does not know, or a bad temperature.
        """
        for value in inputs:
            prompt = self.processor.example(value).text
            pieces = self.pieces(prompt, characters, temperature=temperature, seed=seed, top_k=top_k)
            yield self.processor.answer(prompt, "".join(pieces))

    def written(
        self,
        inputs: Iterable[Any],
        form: str,
        paint: Paint | None = None,
        *,
        at_once: int | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """The answers as text, each piece as soon as it is written."""
        if form != "text":
            yield from (written(self.name, answer, form, paint) for answer in self.stream(inputs, **options))
            return
        for value in inputs:
            prompt = self.processor.example(value).text
            pieces = self.pieces(prompt, **options)
            yield prompt
            yield from pieces
            yield "\n"

    def pieces(
        self,
        prompt: str,
        characters: int = 400,
        *,
        temperature: float = 0.8,
        seed: int = 0,
        top_k: int | None = None,
    ) -> Iterator[str]:
        """The continuation of a prompt, in pieces as they come; the arguments are those of ``stream``.

        Raises:
            InputError: for a character that the model does not know, or a bad temperature; before anything is written.
        """
        if temperature < 0 or not math.isfinite(temperature):
            raise InputError(f"temperature = {temperature}: expected a number of at least 0")
        ids = self.processor.ids(prompt or self.processor.start())
        return self._pieces(ids, characters, seed, temperature, top_k)

    def _pieces(
        self, ids: np.ndarray, characters: int, seed: int, temperature: float, top_k: int | None
    ) -> Iterator[str]:
        state = self.engine.start()
        logits: Any = None
        for at in range(0, len(ids), _READ):
            logits, state = self._read(ids[at : at + _READ], state)
        logits = logits[-1]
        for at in range(0, characters, _PIECE):
            found, logits, state = self.engine.write(logits, state, _PIECE, seed, at, temperature, top_k)
            yield self.processor.text(np.asarray(found)[: characters - at].tolist())

    def nats(self, text: str) -> float:
        """The mean cross-entropy of a text's characters after the first, in nats.

        Raises:
            InputError: for a text of fewer than two characters, or a character that the model does not know.
        """
        if len(text) < 2:
            raise InputError("a text of fewer than two characters has no next character to predict")
        ids, state, total = self.processor.ids(text), self.engine.start(), 0.0
        for at in range(0, len(ids) - 1, _READ):
            piece = ids[at : at + _READ + 1]
            logits, state = self._read(piece[:-1], state)
            scores = np.asarray(logits, np.float64)
            shifted = scores - scores.max(-1, keepdims=True)
            log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            total -= float(log_probabilities[np.arange(len(piece) - 1), piece[1:]].sum())
        return total / (len(ids) - 1)

    def _read(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        padded = np.zeros(_PIECE if len(ids) <= _PIECE else _READ, np.int32)
        padded[: len(ids)] = ids
        logits, state = self.engine.read(padded, len(ids), state)
        return logits[: len(ids)], state


def draw(logits: np.ndarray, random: np.random.Generator, temperature: float, top_k: int | None = None) -> int:
    """One id from ``softmax(logits / temperature)``; the most probable one at a temperature of 0.

    >>> draw(np.array([0.0, 3.0, 1.0]), np.random.default_rng(0), 0.0)
    1
    """
    scores = np.asarray(logits, np.float64)
    if temperature == 0:
        return int(scores.argmax())
    if top_k is not None:
        scores = np.where(scores < np.sort(scores)[-min(top_k, len(scores))], -np.inf, scores)
    weights = np.exp((scores - scores.max()) / temperature)
    return int(random.choice(len(scores), p=weights / weights.sum()))


def write_step_by_step(
    engine: Any, logits: Any, state: Any, count: int, seed: int, at: int, temperature: float, top_k: int | None
) -> tuple[np.ndarray, Any, Any]:
    """``count`` ids drawn one after the other, each read before the next."""
    random, ids = np.random.default_rng([seed, at]), []
    for _ in range(count):
        ids.append(draw(logits, random, temperature, top_k))
        found, state = engine.read(np.array(ids[-1:], np.int32), 1, state)
        logits = found[-1]
    return np.array(ids), logits, state
