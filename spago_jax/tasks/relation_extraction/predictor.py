# SPDX-License-Identifier: BSD-2-Clause
"""RelationExtraction: the predictor of ``relation-extraction``."""

from typing import ClassVar

from spago_jax.tasks.relation_extraction.processor import RelationProcessor
from spago_jax.tasks.text_to_text.predictor import TextToText
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor


class RelationExtraction(TextToText):
    """Finds who stands in which relation to whom; its answers have ``relations`` beside the texts that were written."""

    name: ClassVar[str] = "relation-extraction"
    processor_class: ClassVar[type[TextToTextProcessor]] = RelationProcessor
    plain: ClassVar[bool] = False
