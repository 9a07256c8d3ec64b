# SPDX-License-Identifier: BSD-2-Clause
"""What a task takes and gives, as JSON schemas with examples: for the OpenAPI page, and for people."""

import dataclasses
from typing import Any

TEXT = {"type": "string", "description": "a text"}
_SPAN = {"text": {"type": "string"}, "start": {"type": "integer"}, "end": {"type": "integer"}}
_SCORE = {"score": {"type": "number"}}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required or properties)}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


@dataclasses.dataclass(frozen=True)
class TaskSchema:
    """What a task takes and gives.

    Attributes:
        input: the schema of an input.
        answer: that of an answer.
        example: an input.
        options: options that go with the example.
    """

    input: dict[str, Any]
    answer: dict[str, Any]
    example: Any
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


_TEXT_INPUT = {"anyOf": [TEXT, _object({"text": TEXT})]}
_RANKED = _object({"label": {"type": "string"}, **_SCORE, "ranking": {"type": "object"}}, "label", "score")
_TOKENS = _list(_object({"text": TEXT, "id": {"type": "integer"}, **_SCORE}))
_TEXTS = _list(_object({"text": TEXT, **_SCORE, "tokens": _TOKENS}, "text", "score"))
_WRITTEN = _object({"source": TEXT, "text": TEXT, "texts": _TEXTS}, "text")
_WRITES = TaskSchema(_TEXT_INPUT, _WRITTEN, "The old house stands on a hill.")
_TAGGED = _object({"text": TEXT, "tokens": _list(TEXT), "tags": _list(TEXT), "spans": _list({"type": "object"})})
_FILLED = _object({"token": TEXT, **_SCORE, "text": TEXT})

TASKS: dict[str, TaskSchema] = {
    "fill-mask": TaskSchema(
        _TEXT_INPUT, _object({"text": TEXT, "masks": _list(_list(_FILLED))}), "Paris is the [MASK] of France."
    ),
    "next-sentence": TaskSchema(
        {"anyOf": [_list(TEXT), _object({"text": TEXT, "pair": TEXT})]}, {"type": "object"}, ["It rains.", "I am wet."]
    ),
    "question-answering": TaskSchema(
        _object({"question": TEXT, "passage": TEXT}),
        _object({"question": TEXT, "answers": _list(_object({**_SPAN, **_SCORE}))}),
        {"question": "Where is it?", "passage": "The old house stands on a hill."},
    ),
    "replaced-token-detection": TaskSchema(
        _TEXT_INPUT,
        _object({"text": TEXT, "words": _list(_object({**_SPAN, "label": TEXT, **_SCORE}))}),
        "The old house stands on a fish.",
    ),
    "text-classification": TaskSchema(
        {"anyOf": [TEXT, _list(TEXT), _object({"text": TEXT, "pair": TEXT}, "text")]},
        {"type": "object"},
        "A quiet and moving film.",
    ),
    "text-encoding": TaskSchema(
        _TEXT_INPUT, _object({"text": TEXT, "vector": _list({"type": "number"})}), "A sentence with a meaning."
    ),
    "text-generation": TaskSchema(TEXT, {"type": "object"}, "Once upon a time", {"characters": 40}),
    "token-classification": TaskSchema(
        {"anyOf": [TEXT, _list(TEXT), _object({"text": TEXT}), _object({"tokens": _list(TEXT)})]},
        _TAGGED,
        "Ann lives in Paris.",
    ),
    "zero-shot-classification": TaskSchema(
        {"anyOf": [TEXT, _object({"text": TEXT, "labels": _list(TEXT)}, "text")]},
        _RANKED,
        "The match ended in a draw.",
        {"labels": ["sport", "politics"]},
    ),
}
OTHER = TaskSchema({}, {"type": "object"}, "A text.")


def schema_of(task: str) -> TaskSchema:
    """Returns what a task takes and gives; of one that writes texts, what all of them do.

    >>> schema_of("summarization").example
    'The old house stands on a hill.'
    """
    writing = ("text2text-generation", "translation", "summarization", "paraphrasing", "keyword-generation",
               "relation-extraction")  # fmt: skip
    return TASKS.get(task) or (_WRITES if task in writing else OTHER)
