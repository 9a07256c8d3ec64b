# SPDX-License-Identifier: BSD-2-Clause
"""Scores of masked words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.train.metrics.perplexity import Perplexity
from spago_jax.train.metrics.protocol import ratio
from spago_jax.train.task import Scores


class MaskedScorer:
    """The loss in nats per masked piece, its perplexity, and the share of masked pieces that are found."""

    def __init__(self) -> None:
        self._metric = Perplexity()
        self._state = self._metric.init()
        self._right = 0.0

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the sums of one block."""
        nats, right, count = (
            float(np.asarray(outputs[name][: block.steps], np.float64).sum()) for name in ("nats", "right", "count")
        )
        self._state = self._metric.update(self._state, nll=nats, tokens=round(count))
        self._right += right

    def compute(self) -> Scores:
        """The scores so far."""
        found = self._metric.compute(self._state)
        accuracy = ratio(self._right, self._state["tokens"])
        return Scores({"loss": found["nll"], "perplexity": found["perplexity"], "accuracy": accuracy})
