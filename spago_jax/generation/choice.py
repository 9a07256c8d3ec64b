# SPDX-License-Identifier: BSD-2-Clause
"""How the next id of a text is chosen. Needs NumPy alone; an exported folder carries a copy."""

import dataclasses
import math

import numpy as np

from spago_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Choice:
    """The way from the logits of the next id to the id: temperature, then the likeliest ``top_k``, then ``top_p``.

    Attributes:
        temperature: above 1 wilder, below 1 tamer, 0 always the most probable one.
        top_k: choose among so many most probable ids only.
        top_p: choose among the fewest ids that have this probability together (Holtzman et al., 2020).
        never: ids that are never chosen.

    Raises:
        InputError: for a value out of range.

    >>> Choice(temperature=0.0).draw(np.array([0.0, 3.0, 1.0]), np.random.default_rng(0))
    1
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    never: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.temperature < 0 or not math.isfinite(self.temperature):
            raise InputError(f"temperature = {self.temperature}: expected a number of at least 0")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k = {self.top_k}: expected a whole number of at least 1, or None for all")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top_p = {self.top_p}: expected a probability above 0, at most 1, or None for all")

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Returns the logits divided by the temperature, -inf for ids that are not chosen, [vocabulary].

        Args:
            logits: of one position, [vocabulary]; the temperature must be above 0.
        """
        scores = np.asarray(logits, np.float64) / self.temperature
        scores[list(self.never)] = -np.inf
        if self.top_k is not None:
            scores[scores < np.sort(scores)[-min(self.top_k, len(scores))]] = -np.inf
        if self.top_p is not None:
            ascending = np.sort(scores)
            below = np.cumsum(_softmax(ascending))
            below[-1] = 1 + self.top_p  # the most probable one always stays
            scores[scores < ascending[below > 1 - self.top_p][0]] = -np.inf
        return scores

    def draw(self, logits: np.ndarray, random: np.random.Generator) -> int:
        """Returns an id drawn from the softmax of ``scores``; the most probable one at a temperature of 0."""
        if self.temperature == 0:
            scores = np.array(logits, np.float64)
            scores[list(self.never)] = -np.inf
            return int(scores.argmax())
        probabilities = _softmax(self.scores(logits))
        return int(random.choice(len(probabilities), p=probabilities))


def _softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()
