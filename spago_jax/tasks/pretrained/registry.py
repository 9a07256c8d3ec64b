# SPDX-License-Identifier: BSD-2-Clause
"""The tasks that a folder in Hugging Face's layout can answer, by name."""

from typing import Any

from spago_jax.errors import InputError, did_you_mean
from spago_jax.registry import Registry

DESCRIPTIONS = {
    "abstractive-question-answering": "an answer to a question, written from passages",
    "fill-mask": "the words that may stand at the masks of a text",
    "keyword-generation": "the keywords that suit a text",
    "language-modeling": "how probable a text is to a language model of characters",
    "next-sentence": "how probably one text follows another",
    "paraphrasing": "the same text in other words",
    "passage-search": "the passages nearest to a question, and answers read from them",
    "question-answering": "the spans of a passage that answer a question",
    "relation-extraction": "who stands in which relation to whom, as a text says",
    "replaced-token-detection": "the words of a text that do not belong",
    "summarization": "what a text says, in fewer words",
    "text-classification": "the classes of a text, or of a pair of texts",
    "text-encoding": "a vector for a text",
    "text2text-generation": "the text that an encoder-decoder writes for a text",
    "token-classification": "the labeled spans of a text, or a tag for each word",
    "translation": "a text in another language",
    "word-similarity": "the words nearest to one, how similar two are, and analogies",
    "zero-shot-classification": "which of some labels suit a text, without training",
}

PRETRAINED = Registry(
    "task",
    {
        "abstractive-question-answering": (
            "spago_jax.tasks.abstractive_question_answering.predictor:AbstractiveQuestionAnswering"
        ),
        "fill-mask": "spago_jax.tasks.fill_mask.predictor:FillMask",
        "keyword-generation": "spago_jax.tasks.keyword_generation.predictor:KeywordGeneration",
        "language-modeling": "spago_jax.tasks.language_modeling.predictor:LanguageModeling",
        "next-sentence": "spago_jax.tasks.next_sentence.predictor:NextSentencePrediction",
        "paraphrasing": "spago_jax.tasks.paraphrasing.predictor:Paraphrasing",
        "passage-search": "spago_jax.tasks.passage_search.predictor:PassageSearch",
        "question-answering": "spago_jax.tasks.question_answering.predictor:QuestionAnswering",
        "relation-extraction": "spago_jax.tasks.relation_extraction.predictor:RelationExtraction",
        "replaced-token-detection": "spago_jax.tasks.replaced_token_detection.predictor:ReplacedTokenDetection",
        "summarization": "spago_jax.tasks.summarization.predictor:Summarization",
        "text-classification": "spago_jax.tasks.pretrained.text_classification:PretrainedTextClassification",
        "text-encoding": "spago_jax.tasks.text_encoding.predictor:TextEncoding",
        "text2text-generation": "spago_jax.tasks.text_to_text.predictor:TextToText",
        "token-classification": "spago_jax.tasks.pretrained.token_classification:PretrainedTokenClassification",
        "translation": "spago_jax.tasks.translation.predictor:Translation",
        "word-similarity": "spago_jax.tasks.word_similarity.predictor:WordSimilarity",
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
    "generate": "text2text-generation",
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
