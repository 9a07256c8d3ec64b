# SPDX-License-Identifier: BSD-2-Clause
"""Scores of encoder-decoders that need no text to be written: how well the targets were foreseen, token by token."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.train.metrics.protocol import ratio
from spago_jax.train.task import Scores


class TokenScorer:
    """The mean cross-entropy of a token in nats, ``exp`` of it, and the share of tokens that were foreseen."""

    def __init__(self) -> None:
        self._nats, self._tokens, self._right = 0.0, 0, 0

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Takes the sums of one block."""
        steps = block.steps
        self._nats += float(np.asarray(outputs["nats"][:steps], np.float64).sum())
        self._tokens += int(outputs["tokens"][:steps].sum())
        self._right += int(outputs["right"][:steps].sum())

    def compute(self) -> Scores:
        """The scores so far."""
        loss = ratio(self._nats, self._tokens)
        perplexity = math.exp(min(loss, 700.0))
        return Scores({"loss": loss, "perplexity": perplexity, "token_accuracy": ratio(self._right, self._tokens)})
