# SPDX-License-Identifier: BSD-2-Clause
"""Generator: writes on from prompts with a language model that carries a state. Needs NumPy alone."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import numpy as np

from spago_jax.data.processor import Answer, Paint
from spago_jax.errors import InputError
from spago_jax.generation.choice import Choice
from spago_jax.tasks.predictor import Predictor, Prepared, written
from spago_jax.text.unicode import refuse_surrogates

OPTIONS = {"characters": int, "temperature": float, "seed": int, "top_k": int, "top_p": float, "stop": str}
"""What a user may set when generating, with its type."""

_PIECE = 64  # characters written, or read, in one call
_READ = 512  # characters of a prompt read in one call


class Engine(Protocol):
    """What runs the model.

    Attributes:
        at_once: prompts that are best continued together.
    """

    at_once: int

    def start(self) -> Any:
        """The state of one text before its first character."""
        ...

    def read(self, ids: np.ndarray, length: int, state: Any) -> tuple[np.ndarray, Any]:
        """The logits [time, vocabulary] of what follows each of the first ``length`` ids, and the state after them."""
        ...

    def write(
        self, prompts: Sequence[np.ndarray], count: int, choice: Choice, noise: tuple[int, int], stop: np.ndarray
    ) -> Iterator[np.ndarray]:
        """``count`` more ids of each of at most ``at_once`` texts, int[prompts, some] at a time.

        ``noise`` is the seed and the number of the first prompt: the same numbers draw the same ids. A text that ends
        with ``stop``, unless that is empty, may be followed by anything; it may end there once all do.
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
        stop: str | None = None,
    ) -> Iterator[Answer]:
        """The continuation of each prompt, in order; those that are there are written together.

        Each prompt draws by itself: its text depends on the seed and its place among the inputs, and on no other one.

        Args:
            inputs: prompts; an empty one stands for the beginning of a text.
            at_once: how many prompts may be waited for; 1 answers each before the next is read.
            characters: how many to write.
            temperature: above 1 wilder, below 1 tamer, 0 always the most probable one.
            seed: of the drawing.
            top_k: choose among so many most probable characters only.
            top_p: choose among the fewest characters that have this probability together.
            stop: what a text ends with, where it comes up before.

        Raises:
            InputError: for a character that the model does not know, or an option out of range.
        """
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "stop": stop}
        most, number = min(at_once or self.engine.at_once, self.engine.at_once), 0
        iterator = iter(inputs)
        arrived = getattr(inputs, "arrived", lambda count: list(islice(iterator, count)))
        while chunk := arrived(most):
            prompts = [self._example(value).text for value in chunk]
            texts = [""] * len(prompts)
            for pieces in self._together(prompts, characters, (seed, number), **options):
                texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
            yield from map(self.processor.answer, prompts, map(self.processor.ordered, texts))
            number += len(prompts)

    def prepare(self, value: Any, **options: Any) -> Prepared:
        """Reads a prompt; it costs its characters and those that may follow."""
        example, rest = self._asked(value, options)
        Choice(rest.get("temperature", 0.8), rest.get("top_k"), rest.get("top_p"), self.processor.never)
        self.processor.ids(refuse_surrogates(example.text))
        return Prepared(self, example, rest, (len(example.text) + int(rest.get("characters", 400)),))

    def streamed(self, prepared: Prepared) -> Iterator[str]:
        """The continuation in pieces."""
        return self.pieces(prepared.example.text, **prepared.options)

    def _prepared(self, prepared: Sequence[Prepared], cancelled: Callable[[], bool] | None) -> Iterator[Answer]:
        # One by one: a text depends on its place among those of a call, and a server promises the same text each time.
        for each in prepared:
            text = ""
            for piece in self.pieces(each.example.text, **each.options):
                text += piece
                if cancelled is not None and cancelled():
                    break
            yield self.processor.answer(each.example.text, text)

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
        if form != "text" or self.processor.backward:  # what stands before a prompt is known at the end
            answers = self.stream(inputs, at_once=at_once, **options)
            yield from (written(self.name, answer, form, paint) for answer in answers)
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
        stop: str | None = None,
        number: int = 0,
    ) -> Iterator[str]:
        """The continuation of a prompt, in pieces as they come; the arguments are those of ``stream``.

        ``number`` is the place of the prompt among others of one call. Of a backward model, each piece stands before
        the one that came before it.

        Raises:
            InputError: for a character that the model does not know, or an option out of range; before anything is
                written.
        """
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "stop": stop}
        together = self._together([prompt], characters, (seed, number), **options)
        return (self.processor.ordered(piece) for (piece,) in together)

    def _together(
        self,
        prompts: Sequence[str],
        characters: int,
        noise: tuple[int, int],
        *,
        temperature: float,
        top_k: int | None,
        top_p: float | None,
        stop: str | None,
    ) -> Iterator[list[str]]:
        """A piece of every continuation at a time; what is wrong is said before anything is written."""
        choice = Choice(temperature, top_k, top_p, self.processor.never)
        if stop == "":
            raise InputError("stop is empty: expected the text that a continuation ends with, or None")
        ids = [self.processor.ids(refuse_surrogates(prompt) or self.processor.start()) for prompt in prompts]
        end = self.processor.ids(refuse_surrogates(stop or ""))
        return self._pieces(ids, characters, choice, noise, stop and self.processor.ordered(stop), end)

    def _pieces(
        self,
        ids: Sequence[np.ndarray],
        characters: int,
        choice: Choice,
        noise: tuple[int, int],
        stop: str | None,
        end: np.ndarray,
    ) -> Iterator[list[str]]:
        texts = [_Text(self.processor.alphabet.decoder(), characters, stop) for _ in ids]
        if characters < 1:
            return
        for piece in self.engine.write(ids, characters * self.processor.longest_character, choice, noise, end):
            yield [text.take(row) for text, row in zip(texts, piece.tolist(), strict=True)]
            if all(text.ended for text in texts):
                return

    def nats(self, text: str) -> float:
        """The mean cross-entropy of a text's characters after the first, in nats per character.

        Raises:
            InputError: for a text of fewer than two characters, or a character that the model does not know.
        """
        return -float(self._log_probabilities(text).sum()) / (len(text) - 1)

    def log_probabilities(self, text: str) -> np.ndarray:
        """The log-probability of each character of a text, given those that the model reads before it.

        The character that is read first, the last one for a backward model, has none: NaN.

        Raises:
            InputError: as ``nats``.
        """
        found = self._log_probabilities(text)
        if len(found) == len(text) - 1:
            values = np.r_[np.nan, found]
        else:  # bytes: each character's are added up
            ids = self.processor.ids(text)
            values = np.bincount(np.cumsum((ids & 0xC0) != 0x80)[1:] - 1, found, len(text))
            values[0] = np.nan
        return values[::-1] if self.processor.backward else values

    def _log_probabilities(self, text: str) -> np.ndarray:
        """Of each id after the first."""
        if len(text) < 2:
            raise InputError("a text of fewer than two characters has no next character to predict")
        ids, state, found = self.processor.ids(refuse_surrogates(text)), self.engine.start(), []
        for at in range(0, len(ids) - 1, _READ):
            piece = ids[at : at + _READ + 1]
            logits, state = read_piece(self.engine, piece[:-1], state)
            scores = np.asarray(logits, np.float64)
            shifted = scores - scores.max(-1, keepdims=True)
            normal = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            found.append(normal[np.arange(len(piece) - 1), piece[1:]])
        return np.concatenate(found)

    def perplexity(self, text: str) -> float:
        """``exp(nats(text))``: among how many equally probable characters the model would have to choose.

        Raises:
            InputError: as ``nats``.
        """
        return math.exp(self.nats(text))


class _Text:
    """A continuation as it comes: so many characters at most, and nothing after a stop."""

    def __init__(self, decode: Any, characters: int, stop: str | None):
        self._decode, self._left, self._stop = decode, characters, stop
        self._tail = ""

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self._left <= 0

    def take(self, ids: Sequence[int]) -> str:
        """What some more ids add to it."""
        text = "" if self.ended else self._decode(ids)[: self._left]
        self._left -= len(text)
        if self._stop is None or not text:
            return text
        seen = self._tail + text
        if (place := seen.find(self._stop)) >= 0:
            self._left, text = 0, seen[len(self._tail) : place + len(self._stop)]
        self._tail = seen[max(len(seen) - len(self._stop) + 1, 0) :]
        return text


def write_step_by_step(
    engine: Any, prompts: Sequence[np.ndarray], count: int, choice: Choice, noise: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Ids of one text, drawn one after the other, each read before the next."""
    (ids,) = prompts
    state, logits = engine.start(), None
    for at in range(0, len(ids), _READ):
        logits, state = read_piece(engine, ids[at : at + _READ], state)
    assert logits is not None
    last = logits[-1]
    for at in range(0, count, _PIECE):
        random, found = np.random.default_rng([*noise, at]), []
        for _ in range(_PIECE):
            found.append(choice.draw(last, random))
            logits, state = engine.read(np.array(found[-1:], np.int32), 1, state)
            last = logits[-1]
        yield np.array([found])


def read_piece(engine: Engine, ids: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
    """Reads a piece of a text, padded to one of two lengths."""
    padded = np.zeros(_PIECE if len(ids) <= _PIECE else _READ, np.int32)
    padded[: len(ids)] = ids
    logits, state = engine.read(padded, len(ids), state)
    return logits[: len(ids)], state
