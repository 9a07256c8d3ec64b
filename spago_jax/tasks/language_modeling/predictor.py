# SPDX-License-Identifier: BSD-2-Clause
"""LanguageModeling: the predictor of ``language-modeling``."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from spago_jax.core.section import Section
from spago_jax.data.processor import Answer, Paint
from spago_jax.errors import InputError
from spago_jax.interop.huggingface.locate import Download
from spago_jax.tasks.generator import Generator
from spago_jax.tasks.predictor import Predictor


@dataclasses.dataclass(frozen=True)
class TextProbability(Answer):
    """How probable a text is.

    Attributes:
        text: the text.
        loss: the mean cross-entropy of its characters after the one that is read first, in nats per character.
        probabilities: of each character, given those that are read before it; None for the one that is read first
            (by a backward model: the last one).
    """

    text: str
    loss: float
    probabilities: tuple[float | None, ...]
    line: int = 0

    @property
    def perplexity(self) -> float:
        """``exp(loss)``: among how many equally probable characters the model would have to choose."""
        return math.exp(self.loss)

    def to_dict(self) -> dict[str, Any]:
        """Text, loss, perplexity and the probabilities."""
        return {
            "text": self.text, "loss": self.loss, "perplexity": self.perplexity,
            "probabilities": list(self.probabilities),
        }  # fmt: skip

    def to_text(self, paint: Paint | None = None) -> str:
        """The perplexity, and the text after a tab."""
        return f"{self.perplexity:.4f}\t{self.text}\n"


class LanguageModeling(Predictor):
    """The perplexity of texts, and the probability of each of their characters.

    Args:
        generator: a model of the task ``text-generation``.
    """

    name = "language-modeling"
    Options = Section
    Settings = Section

    def __init__(self, generator: Generator):
        self.generator, self.processor = generator, generator.processor

    @classmethod
    def open(cls, source: str | Path, *, dtype: str = "float32", download: Download = "never") -> Self:
        """Opens a model of the task ``text-generation``.

        Args:
            source: its folder, or a language model of Flair's.
            dtype: float32 alone; there for commands that open any task.
            download: nothing is ever downloaded; likewise.

        Raises:
            InputError: where it is missing or bad, and for another dtype.
        """
        from spago_jax.tasks.load import load_task

        if dtype != "float32":
            raise InputError(f"dtype = {dtype!r}: a language model of characters computes as it was trained")
        generator = load_task("text-generation", source)
        assert isinstance(generator, Generator)
        return cls(generator)

    def stream(self, inputs: Iterable[Any], *, at_once: int | None = None, **_: Any) -> Iterator[TextProbability]:
        """The answers, in order.

        Raises:
            InputError: for a text of fewer than two characters, or a character that the model does not know.
        """
        for value in inputs:
            text = self._example(value).text
            found = self.generator.log_probabilities(text)
            each = [None if math.isnan(value) else math.exp(value) for value in found.tolist()]
            yield TextProbability(text, float(-np.nansum(found) / (len(text) - 1)), tuple(each))
