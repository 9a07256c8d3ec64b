# SPDX-License-Identifier: BSD-2-Clause
"""Scores of sentence encoders on pairs without scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.train.task import Scores


class RankScorer:
    """The share of pairs whose texts are nearest to each other in their batch, the mean of 1 / place, and the loss."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._ranks: list[int] = []

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the ranks of one block."""
        held = block.indices >= 0
        self._losses += np.asarray(outputs["loss"])[: block.steps][held].tolist()
        self._ranks += np.asarray(outputs["rank"])[: block.steps][held].tolist()

    def compute(self) -> Scores:
        """The scores so far."""
        ranks = np.array(self._ranks)
        values = {"accuracy": (ranks == 0).mean(), "mrr": (1 / (ranks + 1)).mean(), "loss": np.mean(self._losses)}
        return Scores({name: float(value) for name, value in values.items()})
