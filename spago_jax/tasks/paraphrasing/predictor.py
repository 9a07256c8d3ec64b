# SPDX-License-Identifier: BSD-2-Clause
"""Paraphrasing: the predictor of ``paraphrasing``."""

from typing import ClassVar

from pydantic import Field

from spago_jax.core.section import PositiveInt, Section
from spago_jax.tasks.text_to_text.predictor import TextToText, WritingOptions


class ParaphraseOptions(WritingOptions):
    """How texts are written; the defaults are those of cybertron, which draws."""

    do_sample: bool | None = Field(default=True, description="draw tokens, rather than take the likeliest ones")
    temperature: float | None = Field(
        default=1.5, gt=0, allow_inf_nan=False, description="above 1 wilder, below 1 tamer"
    )
    top_k: int | None = Field(default=120, ge=0, description="draw among so many likeliest tokens; 0 for all")
    num_return_sequences: PositiveInt | None = Field(default=None, description="how many texts are given")


class Paraphrasing(TextToText):
    """Says the same in other words."""

    name: ClassVar[str] = "paraphrasing"
    Options: ClassVar[type[Section]] = ParaphraseOptions
