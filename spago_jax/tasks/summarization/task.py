# SPDX-License-Identifier: BSD-2-Clause
"""``task: summarization``."""

from typing import ClassVar

from spago_jax.tasks.summarization.predictor import Summarization
from spago_jax.tasks.summarization.processor import SummaryProcessor
from spago_jax.tasks.text_to_text.predictor import TextToText
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor
from spago_jax.tasks.text_to_text.task import TextToTextTask


class TrainedSummarization(TextToTextTask):
    """Summaries, learned from texts with theirs."""

    name = "summarization"
    processor_class: ClassVar[type[TextToTextProcessor]] = SummaryProcessor
    predictor_class: ClassVar[type[TextToText]] = Summarization
