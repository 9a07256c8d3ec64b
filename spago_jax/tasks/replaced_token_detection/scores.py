# SPDX-License-Identifier: BSD-2-Clause
"""Scores of replaced-token detection."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.train.metrics.protocol import ratio
from spago_jax.train.task import Scores


class DetectionScorer:
    """Both losses, and how well replaced pieces are found: the share of pieces that are judged rightly, and the recall.

    Args:
        weight: of the discriminator's loss in the whole.
    """

    def __init__(self, weight: float):
        self._weight = weight
        self._sums: dict[str, float] = {}

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the sums of one block."""
        for name, array in outputs.items():
            total = float(np.asarray(array[: block.steps], np.float64).sum())
            self._sums[name] = self._sums.get(name, 0.0) + total

    def compute(self) -> Scores:
        """The scores so far."""
        sums = self._sums
        generator, discriminator = ratio(sums["nats"], sums["count"]), ratio(sums["bits"], sums["pieces"])
        return Scores(
            {
                "loss": generator + self._weight * discriminator,
                "generator_loss": generator,
                "discriminator_loss": discriminator,
                "accuracy": ratio(sums["right"], sums["pieces"]),
                "recall": ratio(sums["found"], sums["replaced"]),
            }
        )
