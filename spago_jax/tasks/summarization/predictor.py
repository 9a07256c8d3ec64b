# SPDX-License-Identifier: BSD-2-Clause
"""Summarization: the predictor of ``summarization``."""

from typing import ClassVar

from spago_jax.tasks.text_to_text.predictor import TextToText


class Summarization(TextToText):
    """Writes what a text says in fewer words.

    A document that is longer than the model reads is refused, or summarized window by window with
    ``long_text="split"``.
    """

    name: ClassVar[str] = "summarization"
