# SPDX-License-Identifier: BSD-2-Clause
"""Validates sections of a config; every error names the key, the file and the line."""

import re
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from spago_jax.core.tree import PyTree
from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.schema import Experiment
from spago_jax.train.yaml_source import Source

Config = TypeVar("Config", bound=BaseModel)


def dump(experiment: Experiment) -> str:
    """Returns the resolved experiment as YAML, which reads back as the same experiment."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def validate(schema: type[Config], tree: PyTree, source: Source, prefix: tuple[str, ...]) -> Config:
    """Checks one section against its schema.

    Raises:
        InputError: with every mistake in the section, one per line.
    """
    if not isinstance(tree, dict):
        raise InputError(f"{where(source, prefix)}expected a mapping{_such_as([schema])}, got {tree!r}")
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        lines = [_complaint(schema, tree, source, prefix, item) for item in error.errors()]
        raise InputError("\n".join(dict.fromkeys(lines))) from None


def _keys(name: str) -> tuple[str | int, ...]:
    """Splits a path such as ``model.encoder.steps[3].body`` into keys."""
    return tuple(int(index) if index else key for index, key in re.findall(r"\[(\d+)\]|(\w+)", name))


def _complaint(schema: type[BaseModel], tree: PyTree, source: Source, prefix: tuple[str, ...], error: Any) -> str:
    location = _settable(tree, error["loc"], error["type"])
    keys = (*prefix, *location)
    name = ".".join(map(str, keys))
    at = where(source, keys)
    found = error.get("ctx", {}).get("error")
    if isinstance(found, InputError) and found.path and found.line is None:  # it already names the key below this one
        return f"{where(source, _keys(found.path))}{found}"
    if error["type"] == "extra_forbidden":
        siblings = _fields_at(schema, tree, location[:-1])
        return f"{at}unknown key {name!r}: {did_you_mean(str(location[-1]), siblings)}"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(tree, source, prefix, location, error)
    if error["type"] == "literal_error" and len(location) and location[-1] in ("format", "kind"):
        known = re.findall(r"'([^']+)'", error["ctx"]["expected"])
        return f"{at}{name} = {error['input']!r}: {did_you_mean(str(error['input']), known)}"
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{at}{name} = {error['input']!r}: should be a mapping{_such_as(_classes_at(schema, tree, location))}"
    if error["type"] in ("tuple_type", "list_type"):
        return f"{at}{name} = {error['input']!r}: should be a list{_list_such_as(schema, tree, location)}"
    if error["type"] == "missing" and isinstance(error["loc"][-1], int):
        return f"{at}{name} = {list(error['input'])!r}: should have more items than {error['loc'][-1]}"
    if error["type"] == "missing":
        return f"{at}key {name!r} is missing"
    message = error["msg"][0].lower() + error["msg"][1:]
    message = message.removeprefix("value error, ").removeprefix("input should be ")
    verb = "should be " if error["msg"].startswith("Input should be") else ""
    return f"{at}{name} = {error['input']!r}: {verb}{message}"


def _wrong_kind(tree: PyTree, source: Source, prefix: tuple[str, ...], location: tuple[Any, ...], error: Any) -> str:
    """Returns the error for a section whose discriminating key (``kind``, ``format``) is missing or unknown."""
    key = error["ctx"]["discriminator"].strip("'")
    keys = (*prefix, *location)
    if error["type"] == "union_tag_not_found":
        name = ".".join(map(str, keys))
        return f"{where(source, keys)}key '{name}.{key}' is missing"
    known = re.findall(r"'([^']+)'", error["ctx"]["expected_tags"])
    found = error["ctx"]["tag"]
    return f"{where(source, (*keys, key))}{'.'.join(map(str, (*keys, key)))} = {found!r}: {did_you_mean(found, known)}"


def _settable(tree: PyTree, location: tuple[Any, ...], kind: str) -> tuple[Any, ...]:
    """Drops what pydantic adds to a location beside the user's own keys (the member of a union)."""
    kept: list[Any] = []
    node = tree
    for i, key in enumerate(location):
        last_missing = kind == "missing" and i == len(location) - 1
        if isinstance(node, dict) and (key in node or last_missing):
            node = node.get(key)
            kept.append(key)
        elif isinstance(node, list) and isinstance(key, int) and key < len(node):
            node = node[key]
            kept.append(key)
    return tuple(kept)


def _fields_at(schema: type[BaseModel], tree: PyTree, location: tuple[Any, ...]) -> list[str]:
    """Returns the keys of a section; for a union of sections, those of the member that the settings name."""
    classes = _classes_at(schema, tree, location)
    return sorted({field.alias or name for cls in classes for name, field in cls.model_fields.items()})


def _classes_at(schema: type[BaseModel], tree: PyTree, location: tuple[Any, ...]) -> list[type[BaseModel]]:
    """Returns the sections that may stand at a place, only the one that the settings name if they name one."""
    current, node = [schema], tree
    for key in location:
        node = node[key]
        if isinstance(key, int):
            continue
        current = [found for cls in current for name, field in cls.model_fields.items()
                   if key in (name, field.alias) for found in _sections(field.annotation)]  # fmt: skip
    named = [cls for cls in current if isinstance(node, dict) and _is_named(cls, node)]
    return named or current


def _such_as(classes: Sequence[type[BaseModel]]) -> str:
    """Returns an example of a section: the keys that it needs, else its first one."""
    if not classes:
        return ""
    fields = {field.alias or name: field for name, field in classes[0].model_fields.items()}
    needed = [name for name, field in fields.items() if field.is_required()]
    shown = dict.fromkeys([*(key for key in ("kind", "format", "name") if key in fields), *needed])
    shown = list(shown) or list(fields)[:1]
    values = (f"{name}: {_example(fields[name])}" for name in shown)
    return f", such as {{{', '.join(values)}}}"


def _list_such_as(schema: type[BaseModel], tree: PyTree, location: tuple[Any, ...]) -> str:
    """Returns an example of a list: of sections, the default, or with the value that was given as its one item."""
    sections = _classes_at(schema, tree, location)
    if sections:
        return f", such as [{_such_as(sections).removeprefix(', such as ')}]"
    node: Any = tree
    for key in location:
        node = node[key]
    fields = (cls.model_fields.get(location[-1]) for cls in _classes_at(schema, tree, location[:-1]))
    default = next((field.default for field in fields if field is not None), None)
    if isinstance(default, tuple) and default:
        return f", such as {list(default)}"
    return f", such as [{node}]" if isinstance(node, str | int | float) else ""


def _example(field: FieldInfo) -> str:
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    if not field.is_required() and default is not None and not isinstance(default, BaseModel):
        return yaml.safe_dump(default, default_flow_style=True).removesuffix("...\n").strip()
    if get_origin(field.annotation) is Literal:
        return str(get_args(field.annotation)[0])
    return {int: "3", float: "0.1", bool: "true"}.get(field.annotation, "...")  # type: ignore[arg-type]


def _is_named(schema: type[BaseModel], tree: dict[str, Any]) -> bool:
    """Whether the discriminating key of some settings names this section."""
    return any(
        key in tree
        and key in schema.model_fields
        and tree[key] in getattr(schema.model_fields[key].annotation, "__args__", ())
        for key in ("kind", "format", "name")
    )


def _sections(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _sections(inner)]


def where(source: Source, keys: Sequence[str | int]) -> str:
    """Returns ``FILE:LINE: `` of a key, to begin a message; empty if the settings did not come from a file."""
    place = source.place(keys)
    if place is None:
        return ""
    path, line = place
    return f"{path}:{line}: " if line else f"{path}: "
