# SPDX-License-Identifier: BSD-2-Clause
"""``task: translation``."""

from typing import ClassVar

from spago_jax.tasks.text_to_text.predictor import TextToText
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor
from spago_jax.tasks.text_to_text.task import TextToTextTask
from spago_jax.tasks.translation.predictor import Translation
from spago_jax.tasks.translation.processor import TranslationProcessor


class TrainedTranslation(TextToTextTask):
    """Texts in another language, learned from pairs of texts that mean the same."""

    name = "translation"
    processor_class: ClassVar[type[TextToTextProcessor]] = TranslationProcessor
    predictor_class: ClassVar[type[TextToText]] = Translation
