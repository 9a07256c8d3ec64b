# SPDX-License-Identifier: BSD-2-Clause
"""The processor of translation."""

from typing import ClassVar

from spago_jax.tasks.text_to_text.processor import TextToTextProcessor


class TranslationProcessor(TextToTextProcessor):
    """Texts to ids, and ids to texts in another language."""

    task: ClassVar[str] = "translation"
