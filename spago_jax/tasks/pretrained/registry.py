# SPDX-License-Identifier: BSD-2-Clause
"""The tasks that a folder in Hugging Face's layout can answer, by name."""

from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.registry import Registry

DESCRIPTIONS = {
    "fill-mask": "the words that may stand at the masks of a text",
    "next-sentence": "how probably one text follows another",
    "passage-search": "the passages nearest to a question, and answers read from them",
    "question-answering": "the spans of a passage that answer a question",
    "replaced-token-detection": "the words of a text that do not belong",
    "text-classification": "the classes of a text, or of a pair of texts",
    "text-encoding": "a vector for a text",
    "token-classification": "the labeled spans of a text, or a tag for each word",
    "zero-shot-classification": "which of some labels suit a text, without training",
}

PRETRAINED = Registry(
    "task",
    {
        "fill-mask": "spago_jax.tasks.fill_mask.predictor:FillMask",
        "next-sentence": "spago_jax.tasks.next_sentence.predictor:NextSentencePrediction",
        "passage-search": "spago_jax.tasks.passage_search.predictor:PassageSearch",
        "question-answering": "spago_jax.tasks.question_answering.predictor:QuestionAnswering",
        "replaced-token-detection": "spago_jax.tasks.replaced_token_detection.predictor:ReplacedTokenDetection",
        "text-classification": "spago_jax.tasks.pretrained.text_classification:PretrainedTextClassification",
        "text-encoding": "spago_jax.tasks.text_encoding.predictor:TextEncoding",
        "token-classification": "spago_jax.tasks.pretrained.token_classification:PretrainedTokenClassification",
        "zero-shot-classification": "spago_jax.tasks.zero_shot_classification.predictor:ZeroShotClassification",
    },
)

# What spaGO 0.7's commands and cybertron call them.
OTHER_NAMES = {
    "answer": "question-answering",
    "classify": "text-classification",
    "classify-nli": "zero-shot-classification",
    "discriminate": "replaced-token-detection",
    "encode": "text-encoding",
    "language-modeling": "fill-mask",
    "predict": "fill-mask",
    "similarity": "text-encoding",
    "tag": "token-classification",
}


def pretrained_task(name: str) -> Any:
    """Returns the class of a task's predictor.

    Raises:
        InputError: for a name that is not that of a task, with the task that is meant if another library has the name.

    >>> pretrained_task("discriminate")
    Traceback (most recent call last):
    ...
    spago_jax.errors.InputError: unknown task 'discriminate': it is called 'replaced-token-detection' here
    """
    if name in PRETRAINED.names():
        return PRETRAINED.find(name)
    if name in OTHER_NAMES:
        raise InputError(f"unknown task {name!r}: it is called {OTHER_NAMES[name]!r} here")
    raise InputError(f"unknown task {name!r}: {did_you_mean(name, PRETRAINED.names())}")
