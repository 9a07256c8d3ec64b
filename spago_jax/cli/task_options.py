# SPDX-License-Identifier: BSD-2-Clause
"""What stands after the model on the command line of `spago-jax run`: texts, and options of the task."""

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from spago_jax.errors import InputError, did_you_mean

# The names that spaGO 0.7 and cybertron have for the same things.
ALIASES = {
    "aggregation_strategy": "aggregation",
    "candidate_labels": "labels",
    "hypothesis_template": "template",
    "k": "top_k",
    "max_answers": "top_k",
    "max_answers_len": "max_answer_length",
    "multi_class": "multi_label",
    "pooling_strategy": "pooling",
    "possible_labels": "labels",
    "sample": "do_sample",
    "src_lang": "source_language",
    "text2": "pair",
    "tgt_lang": "target_language",
}
# Options of spaGO's clients whose values are the inputs themselves.
INPUTS = ("text", "question", "input_text")
# Lists of texts, which hold commas of their own.
TEXTS = ("passages",)
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


def split(
    task: str, arguments: Sequence[str], options: type[BaseModel], settings: type[BaseModel]
) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """Splits arguments into texts, options and settings, and checks them.

    ``--name value`` and ``--name=value`` are options, ``--name`` alone says yes where yes or no is asked for, one that
    takes a list is given once for each item.

    Raises:
        InputError: for an option that the task does not have, a value that it does not take, or one that is missing.

    >>> from spago_jax.tasks.zero_shot_classification.predictor import ZeroShotClassification as Task
    >>> split("zero-shot", ["a text", "--labels", "x", "--labels=y", "--multi-class"], Task.Options, Task.Settings)
    (['a text'], {'labels': ('x', 'y'), 'multi_label': True}, {})
    """
    fields = {**options.model_fields, **settings.model_fields}
    texts: list[str] = []
    values: dict[str, Any] = {}
    for name, value in _pairs(arguments, fields):
        key = name.replace("-", "_")
        key = ALIASES.get(key, key) if key not in fields else key
        if not name or (key in INPUTS and key not in fields):
            texts.append(value)
        elif key not in fields:
            flags = [field.replace("_", "-") for field in fields]
            hint = did_you_mean(name, flags) if flags else "it has none"
            raise InputError(f"{task} has no option --{name}: {hint}")
        elif _is_list(fields[key].annotation):
            if "," in value and key not in TEXTS:
                raise InputError(
                    f"--{name} {value!r} holds a comma: give --{name} once for each item; a comma within one goes into "
                    "a record of a .jsonl file"
                )
            values.setdefault(key, []).append(value)
        elif key in values:
            raise InputError(f"--{name} is given twice")
        else:
            values[key] = value
    return texts, _checked(options, values), _checked(settings, values)


def _pairs(arguments: Sequence[str], fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Options with their values, and texts with an empty name."""
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("--"):
            yield "", argument
            continue
        name, equals, value = argument[2:].partition("=")
        key = name.replace("-", "_")
        field = fields.get(ALIASES.get(key, key))
        if not equals and field is not None and field.annotation in (bool, bool | None):
            value = rest.pop(0) if rest and rest[0].lower() in (*_YES, *_NO) else "true"
        elif not equals:
            if not rest:
                raise InputError(f"--{name} needs a value")
            value = rest.pop(0)
        yield name, value


def _is_list(annotation: object) -> bool:
    parts = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return any(typing.get_origin(part) is tuple or "tuple" in str(part) for part in parts)


def _checked(section: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        own = section.model_validate({name: value for name, value in values.items() if name in section.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        flag = str(first["loc"][0]).replace("_", "-")
        raise InputError(f"--{flag} {first.get('input')!r}: {first['msg']}") from None
    return own.model_dump(exclude_unset=True)
