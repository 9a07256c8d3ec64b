# SPDX-License-Identifier: BSD-2-Clause
"""spaGO 0.7: the methods of its three servers. ``took`` is added by the doors."""

from typing import Any

from spago_jax.serve.compat.call import Call, Fields, encoded, masks, places_of_masks, tagged_tokens, text
from spago_jax.serve.engine import Served
from spago_jax.tasks.classification import Classification

TEMPLATE = "This text is about {}."
LEAST = 0.1
"""The least confidence of an answer to a question."""


def _question(fields: Fields, _: Served) -> tuple[Any, dict[str, Any]]:
    value = {"question": text(fields, "question"), "passage": text(fields, "passage")}
    return value, {"top_k": 3, "max_answer_length": 20, "min_score": LEAST}


def _answers(answer: Any, _: Fields) -> dict[str, Any]:
    found = [{"text": a.text, "start": a.start, "end": a.end, "confidence": a.score} for a in answer.answers]
    return {"answers": found or None}


def _discriminated(answer: Any, _: Fields) -> dict[str, Any]:
    return {"tokens": [{"text": w.text, "start": w.start, "end": w.end, "label": w.label} for w in answer.words]}


def _predicted(answer: Any, fields: Fields) -> dict[str, Any]:
    places = places_of_masks(text(fields))
    found = [
        {"text": fillings[0].token, "start": start, "end": end, "label": "PREDICTED"}
        for (start, end), fillings in zip(places, answer.masks, strict=False)
    ]
    return {"tokens": found}


def _tokens(answer: Any, fields: Fields) -> dict[str, Any]:
    options = fields.get("options") or {}
    merge, drop = bool(options.get("mergeEntities")), bool(options.get("filterNotEntities"))
    found = tagged_tokens(answer, merge=merge, drop=drop)
    return {"tokens": [{name: token[name] for name in ("text", "start", "end", "label")} for token in found]}


def _pair(fields: Fields, _: Served) -> tuple[Any, dict[str, Any]]:
    value = {"text": text(fields)}
    return value | ({"pair": fields["text2"]} if fields.get("text2") else {}), {"top_k": 10**6}


def _distribution(answer: Any, _: Fields) -> dict[str, Any]:
    if not isinstance(answer, Classification):  # several labels, or a number
        ranking = getattr(answer, "ranking", ())
        best = ranking[0] if ranking else ("", getattr(answer, "value", 0.0))
        label, score = best
    else:
        ranking, label, score = answer.ranking, answer.label, answer.score
    found = [{"class": name, "confidence": value} for name, value in ranking]
    return {"class": label, "confidence": score, "distribution": found}


def _entailed(fields: Fields, _: Served) -> tuple[Any, dict[str, Any]]:
    return text(fields), {
        "labels": tuple(fields.get("possible_labels") or ()),
        "template": fields.get("hypothesis_template") or TEMPLATE,
        "multi_label": bool(fields.get("multi_class")),
    }


ANSWER = Call("Answer", ("question-answering",), _question, _answers)
DISCRIMINATE = Call("Discriminate", ("replaced-token-detection",), lambda f, _: (text(f), {}), _discriminated)
PREDICT = Call("Predict", ("fill-mask",), lambda f, served: (masks(text(f), served), {"top_k": 1}), _predicted)
TAG = Call("Tag", ("token-classification",), lambda f, _: (text(f), {"aggregation": "average"}), _tokens)
CLASSIFY = Call("Classify", ("text-classification",), _pair, _distribution)
ENCODE = Call("Encode", ("text-encoding",), lambda f, _: encoded(f, "text"), lambda a, _: {"data": a.vector.tolist()})
CLASSIFY_NLI = Call("ClassifyNLI", ("zero-shot-classification",), _entailed, _distribution)
GENERATE = Call(
    "Generate",
    ("text2text-generation", "translation", "summarization", "paraphrasing"),
    lambda f, _: (text(f), {}),
    lambda answer, _: {"text": answer.text},
)

ROUTES = {
    "/answer": ANSWER,
    "/discriminate": DISCRIMINATE,
    "/predict": PREDICT,
    "/tag": TAG,
    "/classify": CLASSIFY,
    "/encode": ENCODE,
    "/classify-nli": CLASSIFY_NLI,
    "/generate": GENERATE,
    "/analyze": TAG,
}
PAGES = {
    "/bert-qa-ui": "answer",
    "/bert-classify-ui": "classify",
    "/classify-nli-ui": "zero-shot",
    "/ner-ui": "tag",
}
FIELDS: dict[str, dict[str, type]] = {
    "/answer": {"question": str, "passage": str},
    "/discriminate": {"text": str},
    "/predict": {"text": str},
    "/tag": {"text": str, "options": dict},
    "/classify": {"text": str, "text2": str},
    "/encode": {"text": str, "pooling_strategy": int},
    "/classify-nli": {"text": str, "hypothesis_template": str, "possible_labels": list, "multi_class": bool},
    "/generate": {"text": str},
    "/analyze": {"text": str, "options": dict},
}
"""The types of the fields, which Go refuses others for; fields that are not known are not looked at."""
