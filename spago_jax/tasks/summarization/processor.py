# SPDX-License-Identifier: BSD-2-Clause
"""The processor of summarization."""

from typing import ClassVar

from spago_jax.tasks.text_to_text.processor import TextToTextProcessor


class SummaryProcessor(TextToTextProcessor):
    """Texts to ids, and ids to summaries."""

    task: ClassVar[str] = "summarization"
