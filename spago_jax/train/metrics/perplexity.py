# SPDX-License-Identifier: BSD-2-Clause
"""Scores of a language model: negative log-likelihood, perplexity, bits per character."""

import math
from typing import TypedDict

from spago_jax.errors import InputError

__all__ = ["Perplexity", "PerplexityState"]


class PerplexityState(TypedDict):
    """Sums: negative log-likelihood in nats, predicted tokens, and the characters they stand for."""

    nll: float
    tokens: int
    characters: int


class Perplexity:
    """nll = - (1 / n) sum log p(token | before), in nats; perplexity = exp(nll); bits = nll / log 2.

    Bits per character divide the same sum by the number of characters, so that models with different tokens can
    be compared; for a character model both are the same.

    >>> metric = Perplexity()
    >>> state = metric.update(metric.init(), nll=4 * math.log(8.0), tokens=4)
    >>> {name: round(score, 6) for name, score in metric.compute(state).items()}
    {'nll': 2.079442, 'perplexity': 8.0, 'bits_per_character': 3.0}
    """

    def init(self) -> PerplexityState:
        """Returns the empty state."""
        return {"nll": 0.0, "tokens": 0, "characters": 0}

    def update(
        self, state: PerplexityState, *, nll: float, tokens: int, characters: int | None = None
    ) -> PerplexityState:
        """Adds some text.

        Args:
            state: the sums so far.
            nll: the sum (not the mean) of the negative log-likelihoods of the tokens, in nats.
            tokens: the number of predicted tokens.
            characters: the number of characters they stand for; by default the number of tokens.
        """
        return {
            "nll": state["nll"] + float(nll),
            "tokens": state["tokens"] + int(tokens),
            "characters": state["characters"] + int(tokens if characters is None else characters),
        }

    def merge(self, a: PerplexityState, b: PerplexityState) -> PerplexityState:
        """Returns the sums of both parts."""
        return {
            "nll": a["nll"] + b["nll"],
            "tokens": a["tokens"] + b["tokens"],
            "characters": a["characters"] + b["characters"],
        }

    def compute(self, state: PerplexityState) -> dict[str, float]:
        """Returns ``nll`` (nats per token), ``perplexity`` and ``bits_per_character``.

        Raises:
            InputError: nothing was counted.
        """
        if not state["tokens"] or not state["characters"]:
            raise InputError("perplexity is not defined without text: the data to score have no token to predict")
        mean = state["nll"] / state["tokens"]
        return {
            "nll": mean,
            "perplexity": math.exp(mean) if mean < 700 else math.inf,
            "bits_per_character": state["nll"] / state["characters"] / math.log(2),
        }
