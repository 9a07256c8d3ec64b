# SPDX-License-Identifier: BSD-2-Clause
"""Which heads each architecture has: how each computes, and what its tensors are called. All of it is data."""

import dataclasses
from typing import Any

from spago_jax.errors import InputError, did_you_mean

HEADS = (
    "states",
    "pooler",
    "masked-words",
    "next-sentence",
    "sentence-order",
    "pretraining",
    "sequence-classification",
    "token-classification",
    "question-answering",
    "multiple-choice",
    "replaced-tokens",
)


@dataclasses.dataclass(frozen=True)
class HeadPlan:
    """One head of one architecture.

    Attributes:
        class_name: transformers' class.
        dense: their name of the layer before the last one; empty: there is none.
        norm: their name of the layer norm after it; empty: there is none.
        output: their name of the last layer; for masked words, of the vocabulary's product.
        bias: their name of the bias of the vocabulary's product, as transformers saves it.
        bias_alias: the other name of the same bias.
        activation: after ``dense``, by transformers' name, or the config's field that names it after a dot.
        pooling: which states the head reads: ``none`` every one, ``first``, ``first-real`` (the first that the mask
            shows), ``mean``, or the config's field that says so after a dot.
        before: the config's field with the dropout rate before ``dense``.
        after: the config's field with the dropout rate before ``output``.
        outputs: how many numbers come out; None: one per label.
        squeezes: whether the last axis, which has one number, is dropped.
        classifiers: their names of further classifiers on the pooled vector, by ours.
        dense_bias: whether ``dense`` has a bias, or the config's field that says so after a dot.
        norm_bias: the same of ``norm``.
        output_bias: the same of ``output``.
    """

    class_name: str
    dense: str = ""
    norm: str = ""
    output: str = ""
    bias: str = ""
    bias_alias: str = ""
    activation: str = "linear"
    pooling: str = "none"
    before: str = ""
    after: str = ""
    outputs: int | None = None
    squeezes: bool = False
    classifiers: tuple[tuple[str, str], ...] = ()
    dense_bias: bool | str = True
    norm_bias: bool | str = True
    output_bias: bool | str = True


def _classifier(name: str, **how) -> HeadPlan:
    return HeadPlan(name, output=how.pop("output", "classifier"), **how)


def _bert(name: str, **base: HeadPlan) -> dict[str, HeadPlan]:
    """The heads that most architectures share."""
    return {
        "states": HeadPlan(f"{name}Model"),
        "token-classification": _classifier(f"{name}ForTokenClassification", after="classifier_dropout"),
        "question-answering": _classifier(f"{name}ForQuestionAnswering", output="qa_outputs", outputs=2),
        **base,
    }


def _pooled(name: str, dense: str, after: str, **how) -> HeadPlan:
    return _classifier(name, dense=dense, activation="tanh", pooling="first", after=after, **how)


def _dense(name: str, activation: str, dropout: str, **how) -> HeadPlan:
    """A classifier of two layers on the first state, as RoBERTa's."""
    return HeadPlan(
        name,
        dense="classifier.dense",
        output="classifier.out_proj",
        activation=activation,
        pooling="first",
        before=dropout,
        after=dropout,
        **how,
    )


_BERT_WORDS: dict[str, Any] = {
    "dense": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
    "output": "cls.predictions.decoder",
    "bias": "cls.predictions.bias",
    "bias_alias": "cls.predictions.decoder.bias",
    "activation": ".activation",
}
_ROBERTA_WORDS: dict[str, Any] = {
    "dense": "lm_head.dense",
    "norm": "lm_head.layer_norm",
    "output": "lm_head.decoder",
    "bias": "lm_head.bias",
    "bias_alias": "lm_head.decoder.bias",
    "activation": "gelu",
}
_ALBERT_WORDS: dict[str, Any] = {
    "dense": "predictions.dense",
    "norm": "predictions.LayerNorm",
    "output": "predictions.decoder",
    "bias": "predictions.bias",
    "bias_alias": "predictions.decoder.bias",
    "activation": ".activation",
}


def _roberta(name: str) -> dict[str, HeadPlan]:
    pooler = "roberta.pooler.dense"
    return _bert(
        name,
        **{
            "pooler": HeadPlan(f"{name}Model", dense=pooler, activation="tanh", pooling="first"),
            "masked-words": HeadPlan(f"{name}ForMaskedLM", **_ROBERTA_WORDS),
            "sequence-classification": _dense(f"{name}ForSequenceClassification", "tanh", "classifier_dropout"),
            "multiple-choice": _pooled(f"{name}ForMultipleChoice", pooler, "dropout", outputs=1, squeezes=True),
        },
    )


_MODERN: dict[str, Any] = {
    "dense": "head.dense",
    "norm": "head.norm",
    "activation": ".classifier_activation",
    "after": "classifier_dropout",
    "dense_bias": ".classifier_bias",
    "norm_bias": ".norm_bias",
}

PLANS: dict[str, dict[str, HeadPlan]] = {
    "bert": _bert(
        "Bert",
        **{
            "pooler": HeadPlan("BertModel", dense="bert.pooler.dense", activation="tanh", pooling="first"),
            "masked-words": HeadPlan("BertForMaskedLM", **_BERT_WORDS),
            "next-sentence": _pooled(
                "BertForNextSentencePrediction", "bert.pooler.dense", "", output="cls.seq_relationship", outputs=2
            ),
            "pretraining": HeadPlan(
                "BertForPreTraining", classifiers=(("seq_relationship", "cls.seq_relationship"),), **_BERT_WORDS
            ),
            "sequence-classification": _pooled(
                "BertForSequenceClassification", "bert.pooler.dense", "classifier_dropout"
            ),
            "multiple-choice": _pooled(
                "BertForMultipleChoice", "bert.pooler.dense", "classifier_dropout", outputs=1, squeezes=True
            ),
        },
    ),
    "roberta": _roberta("Roberta"),
    "xlm-roberta": _roberta("XLMRoberta"),
    "camembert": _roberta("Camembert"),
    "distilbert": _bert(
        "DistilBert",
        **{
            "masked-words": HeadPlan(
                "DistilBertForMaskedLM",
                dense="vocab_transform",
                norm="vocab_layer_norm",
                output="vocab_projector",
                bias="vocab_projector.bias",
                activation=".activation",
            ),
            "sequence-classification": _classifier(
                "DistilBertForSequenceClassification",
                dense="pre_classifier",
                activation="relu",
                pooling="first",
                after="classifier_dropout",
            ),
            "token-classification": _classifier("DistilBertForTokenClassification", after="dropout"),
            "question-answering": _classifier(
                "DistilBertForQuestionAnswering", output="qa_outputs", outputs=2, after="answer_dropout"
            ),
            "multiple-choice": _classifier(
                "DistilBertForMultipleChoice",
                dense="pre_classifier",
                activation="relu",
                pooling="first",
                after="classifier_dropout",
                outputs=1,
                squeezes=True,
            ),
        },
    ),
    "electra": _bert(
        "Electra",
        **{
            "masked-words": HeadPlan(
                "ElectraForMaskedLM",
                dense="generator_predictions.dense",
                norm="generator_predictions.LayerNorm",
                output="generator_lm_head",
                bias="generator_lm_head.bias",
                activation="gelu",
            ),
            "replaced-tokens": HeadPlan(
                "ElectraForPreTraining",
                dense="discriminator_predictions.dense",
                output="discriminator_predictions.dense_prediction",
                activation=".activation",
                outputs=1,
                squeezes=True,
            ),
            "sequence-classification": _dense("ElectraForSequenceClassification", "gelu", "classifier_dropout"),
            "multiple-choice": _classifier(
                "ElectraForMultipleChoice",
                dense="sequence_summary.summary",
                activation=".summary_activation",
                pooling="first",
                after="summary_dropout",
                outputs=1,
                squeezes=True,
            ),
        },
    ),
    "albert": _bert(
        "Albert",
        **{
            "pooler": HeadPlan("AlbertModel", dense="albert.pooler", activation="tanh", pooling="first"),
            "masked-words": HeadPlan("AlbertForMaskedLM", **_ALBERT_WORDS),
            "sentence-order": _pooled(
                "AlbertForPreTraining",
                "albert.pooler",
                "classifier_dropout",
                output="sop_classifier.classifier",
            ),
            "pretraining": HeadPlan(
                "AlbertForPreTraining",
                classifiers=(("sentence_order", "sop_classifier.classifier"),),
                after="classifier_dropout",
                **_ALBERT_WORDS,
            ),
            "sequence-classification": _pooled(
                "AlbertForSequenceClassification", "albert.pooler", "classifier_dropout"
            ),
            "multiple-choice": _pooled(
                "AlbertForMultipleChoice", "albert.pooler", "classifier_dropout", outputs=1, squeezes=True
            ),
        },
    ),
    "mpnet": _bert(
        "MPNet",
        **{
            "pooler": HeadPlan("MPNetModel", dense="mpnet.pooler.dense", activation="tanh", pooling="first"),
            "masked-words": HeadPlan("MPNetForMaskedLM", **_ROBERTA_WORDS),
            "sequence-classification": _dense("MPNetForSequenceClassification", "tanh", "dropout"),
            "token-classification": _classifier("MPNetForTokenClassification", after="dropout"),
            "multiple-choice": _pooled(
                "MPNetForMultipleChoice", "mpnet.pooler.dense", "dropout", outputs=1, squeezes=True
            ),
        },
    ),
    "modernbert": {
        "states": HeadPlan("ModernBertModel"),
        "masked-words": HeadPlan(
            "ModernBertForMaskedLM",
            output="decoder",
            bias="decoder.bias",
            output_bias=".decoder_bias",
            **{name: value for name, value in _MODERN.items() if name != "after"},
        ),
        "sequence-classification": _classifier(
            "ModernBertForSequenceClassification", pooling=".classifier_pooling", **_MODERN
        ),
        "token-classification": _classifier("ModernBertForTokenClassification", **_MODERN),
        "question-answering": _classifier("ModernBertForQuestionAnswering", outputs=2, **_MODERN),
        "multiple-choice": _classifier(
            "ModernBertForMultipleChoice", pooling=".choice_pooling", outputs=1, squeezes=True, **_MODERN
        ),
    },
}
"""Every head by architecture and name."""

POOLERS = {"bert": "bert.pooler.dense", "albert": "albert.pooler"}
"""The pooled vector that the classifiers of the pre-training heads read."""


def head_plan(architecture: str, head: str) -> HeadPlan:
    """The plan of a head.

    Raises:
        InputError: for an unknown architecture, or a head that it does not have.

    >>> head_plan("electra", "replaced-tokens").class_name
    'ElectraForPreTraining'
    """
    if architecture not in PLANS:
        raise InputError(f"architecture {architecture!r} is not known: {did_you_mean(architecture, PLANS)}")
    if head not in PLANS[architecture]:
        raise InputError(f"{architecture} has no head {head!r}: {did_you_mean(head, PLANS[architecture])}")
    return PLANS[architecture][head]


def heads_by_class(architecture: str) -> dict[str, str]:
    """The head of each class of transformers."""
    # BertModel has a pooler: the later plan of a class holds more of its tensors.
    return {plan.class_name: head for head, plan in PLANS[architecture].items()}


def head_of_class(architecture: str, class_name: str) -> str:
    """The head of a class of transformers, as ``architectures`` in a config.json names it.

    Raises:
        InputError: for a class that is not supported.

    >>> head_of_class("bert", "BertForPreTraining"), head_of_class("bert", "BertModel")
    ('pretraining', 'pooler')
    >>> head_of_class("distilbert", "DistilBertModel")
    'states'
    """
    found = heads_by_class(architecture)
    if class_name not in found:
        raise InputError(
            f"architectures names {class_name!r}, which is not supported: {did_you_mean(class_name, found)}"
        )
    return found[class_name]


def setting(config: object, value: object) -> Any:
    """A plan's value, or the config's field that it names after a dot."""
    return getattr(config, value[1:]) if isinstance(value, str) and value.startswith(".") else value
