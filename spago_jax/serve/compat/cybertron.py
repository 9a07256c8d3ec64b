# SPDX-License-Identifier: BSD-2-Clause
"""cybertron: the methods of its seven services."""

from collections.abc import Mapping
from typing import Any

from spago_jax.serve.compat.call import Call, Fields, encoded, masks, places_of_masks, tagged_tokens, text
from spago_jax.serve.engine import Engine, Served

LEAST = 0.1
WRITING = ("text2text-generation", "translation", "summarization", "paraphrasing", "text-generation")


def _part(fields: Fields, name: str) -> Mapping[str, Any]:
    found = fields.get(name)
    return found if isinstance(found, Mapping) else {}


def _written(fields: Fields, served: Served) -> tuple[Any, dict[str, Any]]:
    given = _part(fields, "parameters")
    options = {name: given[name] for name in ("top_k", "top_p", "temperature", "do_sample") if given.get(name)}
    return text(fields, "input"), options


def _texts(answer: Any, _: Fields) -> dict[str, Any]:
    texts = getattr(answer, "texts", None)
    if texts is None:  # of a language model
        return {"texts": [answer.to_dict().get("text", "")], "scores": [0.0]}
    return {"texts": [each.text for each in texts], "scores": [each.score for each in texts]}


def _entailed(fields: Fields, _: Served) -> tuple[Any, dict[str, Any]]:
    given = _part(fields, "parameters")
    return text(fields, "input"), {
        "labels": tuple(given.get("candidate_labels") or ()),
        "template": given.get("hypothesis_template") or "This example is {}.",
        "multi_label": bool(given.get("multi_label")),
    }


def _ranking(answer: Any, _: Fields) -> dict[str, Any]:
    ranking = getattr(answer, "ranking", ())
    return {"labels": [label for label, _ in ranking], "scores": [score for _, score in ranking]}


def _tags(answer: Any, fields: Fields) -> dict[str, Any]:
    simple = fields.get("aggregation_strategy") in ("SIMPLE", 1)
    return {"tokens": tagged_tokens(answer, merge=simple, drop=simple)}


def _question(fields: Fields, _: Served) -> tuple[Any, dict[str, Any]]:
    given = _part(fields, "options")
    options = {
        "top_k": int(given.get("max_answers") or 3),
        "max_answer_length": int(given.get("max_answers_len") or 20),
        "min_score": float(given.get("min_score") or LEAST),
    }
    return {"question": text(fields, "question"), "passage": text(fields, "passage")}, options


def _answers(answer: Any, _: Fields) -> dict[str, Any]:
    return {"answers": [{"text": a.text, "start": a.start, "end": a.end, "score": a.score} for a in answer.answers]}


def _masked(fields: Fields, served: Served) -> tuple[Any, dict[str, Any]]:
    count = int(_part(fields, "parameters").get("k") or 10)
    return masks(text(fields, "input"), served), {"top_k": count}


def _fillings(answer: Any, fields: Fields) -> dict[str, Any]:
    found = [
        {"start": start, "end": end, "words": [f.token for f in fillings], "scores": [f.score for f in fillings]}
        for (start, end), fillings in zip(places_of_masks(text(fields, "input")), answer.masks, strict=False)
    ]
    return {"tokens": found}


GENERATE = Call("Generate", WRITING, _written, _texts)
ZERO_SHOT = Call("Classify", ("zero-shot-classification",), _entailed, _ranking)
CLASSIFY = Call("Classify", ("text-classification",), lambda f, _: (text(f, "input"), {"top_k": 10**6}), _ranking)
TAG = Call("Classify", ("token-classification",), lambda f, _: (text(f, "input"), {"aggregation": "first"}), _tags)
ANSWER = Call("ExtractAnswer", ("question-answering",), _question, _answers)
ENCODE = Call(
    "Encode", ("text-encoding",), lambda f, _: encoded(f, "input"), lambda a, _: {"vector": a.vector.tolist()}
)
PREDICT = Call("Predict", ("fill-mask",), _masked, _fillings)


def classify(engine: Engine, fields: Fields, model: str | None = None) -> Call:
    """Returns the method that ``/v1/classify`` means, which three tasks share.

    A model that is named says it by its task. Labels to choose from ask for zero-shot classification, an aggregation
    for token classification; else what the server has decides, and text classification is the first choice.
    """
    if model is not None:
        task = engine.model(model).task
        return next((call for call in (CLASSIFY, TAG, ZERO_SHOT) if task in call.tasks), CLASSIFY)
    if "parameters" in fields:
        return ZERO_SHOT
    if "aggregation_strategy" in fields:
        return TAG
    has = {served.task for served in engine.models.values()}
    return next((call for call in (CLASSIFY, TAG, ZERO_SHOT) if call.tasks[0] in has), CLASSIFY)


ROUTES: dict[str, Call | None] = {
    "/v1/generate": GENERATE,
    "/v1/classify": None,
    "/v1/answer": ANSWER,
    "/v1/encode": ENCODE,
    "/v1/predict": PREDICT,
}
