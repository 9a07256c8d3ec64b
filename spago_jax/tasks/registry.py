# SPDX-License-Identifier: BSD-2-Clause
"""The tasks by name: the values of ``task:`` in a config."""

from spago_jax.registry import Registry

TASKS = Registry(
    "task",
    {
        "fill-mask": "spago_jax.tasks.fill_mask.task:TrainedFillMask",
        "image-classification": "spago_jax.tasks.image_classification.task:ImageClassification",
        "question-answering": "spago_jax.tasks.question_answering.task:TrainedQuestionAnswering",
        "replaced-token-detection": "spago_jax.tasks.replaced_token_detection.task:TrainedReplacedTokenDetection",
        "summarization": "spago_jax.tasks.summarization.task:TrainedSummarization",
        "text-classification": "spago_jax.tasks.text_classification.task:TextClassification",
        "text-encoding": "spago_jax.tasks.text_encoding.task:TrainedTextEncoding",
        "text-generation": "spago_jax.tasks.text_generation.task:TextGeneration",
        "text2text-generation": "spago_jax.tasks.text_to_text.task:TextToTextTask",
        "token-classification": "spago_jax.tasks.token_classification.task:TokenClassification",
        "translation": "spago_jax.tasks.translation.task:TrainedTranslation",
    },
)
