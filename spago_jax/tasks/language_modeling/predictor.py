# SPDX-License-Identifier: BSD-2-Clause
"""LanguageModeling: the predictor of ``language-modeling``."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from spago_jax.data.processor import Answer, Paint
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

    def __init__(self, generator: Generator):
        self.generator, self.processor = generator, generator.processor

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
