# SPDX-License-Identifier: BSD-2-Clause
"""Generator: writes on from prompts with a language model that carries a state. Needs NumPy alone."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from spago_jax.data.processor import Answer, Paint
from spago_jax.errors import InputError
from spago_jax.generation.choice import Choice
from spago_jax.tasks.predictor import Predictor, written
from spago_jax.text.unicode import refuse_surrogates

OPTIONS = {"characters": int, "temperature": float, "seed": int, "top_k": int, "top_p": float}
"""What a user may set when generating, with its type."""

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
        self, logits: Any, state: Any, count: int, choice: Choice, noise: Sequence[int]
    ) -> tuple[np.ndarray, Any, Any]:
        """``count`` more ids; then logits and state to go on from.

        ``noise`` is the seed, the number of the prompt and the place in its text: the same numbers draw the same ids.
        """
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
        top_p: float | None = None,
    ) -> Iterator[Answer]:
        """The continuation of each prompt, one after the other.

        Each prompt draws by itself: its text depends on the seed and its place among the inputs, and on no other one.

        Args:
            inputs: prompts; an empty one stands for the beginning of a text.
            at_once: prompts are answered one by one, whatever it is.
            characters: how many to write.
            temperature: above 1 wilder, below 1 tamer, 0 always the most probable one.
            seed: of the drawing.
            top_k: choose among so many most probable characters only.
            top_p: choose among the fewest characters that have this probability together.

        Raises:
            InputError: for a character that the model does not know, or an option out of range.
        """
        options = {"temperature": temperature, "seed": seed, "top_k": top_k, "top_p": top_p}
        for number, value in enumerate(inputs):
            prompt = self._example(value).text
            pieces = self.pieces(prompt, characters, number=number, **options)
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
        for number, value in enumerate(inputs):
            prompt = self._example(value).text
            pieces = self.pieces(prompt, number=number, **options)
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
        top_p: float | None = None,
        number: int = 0,
    ) -> Iterator[str]:
        """The continuation of a prompt, in pieces as they come; the arguments are those of ``stream``.

        ``number`` is the place of the prompt among others of one call.

        Raises:
            InputError: for a character that the model does not know, or an option out of range; before anything is
                written.
        """
        choice = Choice(temperature, top_k, top_p, self.processor.never)
        ids = self.processor.ids(refuse_surrogates(prompt) or self.processor.start())
        return self._pieces(ids, characters, choice, (seed, number))

    def _pieces(self, ids: np.ndarray, characters: int, choice: Choice, noise: tuple[int, int]) -> Iterator[str]:
        state = self.engine.start()
        logits: Any = None
        for at in range(0, len(ids), _READ):
            logits, state = self._read(ids[at : at + _READ], state)
        logits = logits[-1]
        decode, at = self.processor.alphabet.decoder(), 0
        while characters > 0:
            found, logits, state = self.engine.write(logits, state, _PIECE, choice, (*noise, at))
            text = decode(np.asarray(found).tolist())[:characters]
            yield text
            characters, at = characters - len(text), at + _PIECE

    def nats(self, text: str) -> float:
        """The mean cross-entropy of a text's characters after the first, in nats per character.

        Raises:
            InputError: for a text of fewer than two characters, or a character that the model does not know.
        """
        if len(text) < 2:
            raise InputError("a text of fewer than two characters has no next character to predict")
        ids, state, total = self.processor.ids(refuse_surrogates(text)), self.engine.start(), 0.0
        for at in range(0, len(ids) - 1, _READ):
            piece = ids[at : at + _READ + 1]
            logits, state = self._read(piece[:-1], state)
            scores = np.asarray(logits, np.float64)
            shifted = scores - scores.max(-1, keepdims=True)
            log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            total -= float(log_probabilities[np.arange(len(piece) - 1), piece[1:]].sum())
        return total / (len(text) - 1)

    def _read(self, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
        padded = np.zeros(_PIECE if len(ids) <= _PIECE else _READ, np.int32)
        padded[: len(ids)] = ids
        logits, state = self.engine.read(padded, len(ids), state)
        return logits[: len(ids)], state


def write_step_by_step(
    engine: Any, logits: Any, state: Any, count: int, choice: Choice, noise: Sequence[int]
) -> tuple[np.ndarray, Any, Any]:
    """``count`` ids drawn one after the other, each read before the next."""
    random, ids = np.random.default_rng(list(noise)), []
    for _ in range(count):
        ids.append(choice.draw(logits, random))
        found, state = engine.read(np.array(ids[-1:], np.int32), 1, state)
        logits = found[-1]
    return np.array(ids), logits, state
