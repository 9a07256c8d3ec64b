# SPDX-License-Identifier: BSD-2-Clause
"""Settings that classifiers share, whatever they read."""

from typing import Literal

from pydantic import Field, NonNegativeFloat

from spago_jax.core.section import PositiveInt, Section

ClassWeights = Literal["balanced"] | dict[str, NonNegativeFloat] | None
WEIGHTS = "weights of the loss by label, 1 where none is given; balanced: n / (classes * n_label)"


class AnswerOptions(Section):
    """How answers are given."""

    top_k: PositiveInt = Field(default=5, description="how many classes are listed with their probabilities")
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="least probability of a label (default: 0, of several labels 0.5)"
    )
    otherwise: str | None = Field(default=None, description="label where none reaches the threshold")
