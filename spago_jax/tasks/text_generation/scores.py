# SPDX-License-Identifier: BSD-2-Clause
"""Scores of a language model."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.train.metrics.perplexity import Perplexity
from spago_jax.train.task import Scores


class NatsScorer:
    """Adds up the cross-entropy of all characters.

    Args:
        strange: how often each character outside the alphabet occurs, for the details.
    """

    def __init__(self, strange: Mapping[str, int]) -> None:
        self._strange = strange
        self._metric = Perplexity()
        self._state = self._metric.init()

    def update(self, block: Any, outputs: Any) -> None:
        """Takes the sums of one block."""
        steps = block.steps
        self._state = self._metric.update(
            self._state,
            nll=float(np.asarray(outputs["nats"][:steps], np.float64).sum()),
            tokens=int(outputs["count"][:steps].sum()),
        )

    def compute(self) -> Scores:
        """The scores so far."""
        found = self._metric.compute(self._state)
        details = {"strange_characters": dict(self._strange)} if self._strange else {}
        names = ("bits_per_character", "perplexity")
        return Scores({"nats": found["nll"], **{name: found[name] for name in names}}, details)
