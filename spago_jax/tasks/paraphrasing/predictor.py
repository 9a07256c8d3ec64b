# SPDX-License-Identifier: BSD-2-Clause
"""Paraphrasing: the predictor of ``paraphrasing``."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core.section import Section
from spago_jax.tasks.text_to_text.predictor import TextToText, WritingOptions


class ParaphraseOptions(WritingOptions):
    """How texts are written; drawing and its defaults are cybertron's."""

    do_sample: bool | None = Field(default=None, description="draw tokens, as paraphrasing does by default")
    temperature: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="above 1 wilder, below 1 tamer (default: 1.5)"
    )
    top_k: int | None = Field(default=None, ge=0, description="draw among so many likeliest tokens (default: 120)")


class Paraphrasing(TextToText):
    """Says the same in other words."""

    name: ClassVar[str] = "paraphrasing"
    Options: ClassVar[type[Section]] = ParaphraseOptions

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Texts are drawn, unless a user says otherwise."""
        return {} if given.get("do_sample") is False else {"do_sample": True, "temperature": 1.5, "top_k": 120}
