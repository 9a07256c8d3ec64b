# SPDX-License-Identifier: BSD-2-Clause
"""The tasks that a folder in Hugging Face's layout can answer, by name."""

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
