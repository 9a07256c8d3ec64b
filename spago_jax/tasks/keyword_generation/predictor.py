# SPDX-License-Identifier: BSD-2-Clause
"""KeywordGeneration: the predictor of ``keyword-generation``."""

from typing import ClassVar

from spago_jax.tasks.keyword_generation.processor import KeywordProcessor
from spago_jax.tasks.text_to_text.predictor import TextToText
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor


class KeywordGeneration(TextToText):
    """Writes the keywords of a text; its answers have ``keywords`` beside the texts that were written."""

    name: ClassVar[str] = "keyword-generation"
    processor_class: ClassVar[type[TextToTextProcessor]] = KeywordProcessor
    plain: ClassVar[bool] = False
