# SPDX-License-Identifier: BSD-2-Clause
"""How surprised a language model is: negative log-likelihood, perplexity, bits per character."""

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
    be compared; for a character model the two are one.

    >>> metric = Perplexity()
    >>> state = metric.update(metric.init(), nll=4 * math.log(8.0), tokens=4)
    >>> {name: round(score, 6) for name, score in metric.compute(state).items()}
    {'nll': 2.079442, 'perplexity': 8.0, 'bits_per_character': 3.0}
    """

    def init(self) -> PerplexityState:
        """The state of nothing seen."""
        return {"nll": 0.0, "tokens": 0, "characters": 0}

    def update(
        self, state: PerplexityState, *, nll: float, tokens: int, characters: int | None = None
    ) -> PerplexityState:
        """Adds some text.

        Args:
            state: What was summed before.
            nll: The sum (not the mean) of the negative log-likelihoods of the tokens, in nats.
            tokens: How many tokens were predicted.
            characters: How many characters they stand for; as many as tokens by default.
        """
        return {
            "nll": state["nll"] + float(nll),
            "tokens": state["tokens"] + int(tokens),
            "characters": state["characters"] + int(tokens if characters is None else characters),
        }

    def merge(self, a: PerplexityState, b: PerplexityState) -> PerplexityState:
        """The sums of both parts."""
        return {
            "nll": a["nll"] + b["nll"],
            "tokens": a["tokens"] + b["tokens"],
            "characters": a["characters"] + b["characters"],
        }

    def compute(self, state: PerplexityState) -> dict[str, float]:
        """``nll`` (nats per token), ``perplexity``, ``bits_per_character``.

        Raises:
            InputError: Nothing was counted.
        """
        if not state["tokens"] or not state["characters"]:
            raise InputError("the perplexity of no text is not defined: the data to score has no token to predict")
        mean = state["nll"] / state["tokens"]
        return {
            "nll": mean,
            "perplexity": math.exp(mean) if mean < 700 else math.inf,
            "bits_per_character": state["nll"] / state["characters"] / math.log(2),
        }
