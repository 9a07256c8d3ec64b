# SPDX-License-Identifier: BSD-2-Clause
"""From a YAML file to a checked Experiment; every complaint names the key, the file and the line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.registry import recipe_class
from spago_jax.train.schema import Experiment
from spago_jax.train.yaml_source import Source, read

Config = TypeVar("Config", bound=BaseModel)


def load_experiment(path: str | Path, overrides: Sequence[str] = (), *, files: bool = True) -> Experiment:
    """Reads and checks an experiment; nothing else is done, so a mistake costs no time.

    Args:
        path: a YAML file.
        overrides: texts like ``optimizer.learning_rate=0.01``, applied last.
        files: whether the files that it names must be there; a trained run is used without them.

    Raises:
        InputError: for the first mistakes found: unknown keys (with the nearest known one), wrong types,
            missing keys, each with file and line.
    """
    source = read(path, overrides)
    experiment = validate(Experiment, source.tree, source, ())
    try:
        recipe = recipe_class(_kind(source, "model"))
    except InputError as error:
        if isinstance(source.tree.get("model"), dict) and "kind" in source.tree["model"]:
            raise InputError(f"{_where(source, ('model', 'kind'))}{error}") from None
        raise
    data = validate(_data_class(recipe, source), source.tree["data"], source, ("data",))
    model = validate(recipe.ModelConfig, source.tree["model"], source, ("model",))
    experiment = experiment.model_copy(update={"data": data, "model": model})
    if files:
        recipe.check(experiment)
    return experiment


def dump(experiment: Experiment) -> str:
    """The resolved experiment as YAML: reading it again gives the same experiment."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def validate(schema: type[Config], tree: Any, source: Source, prefix: tuple[str, ...]) -> Config:
    """Checks one section against its schema.

    Raises:
        InputError: with every mistake of the section, a line each.
    """
    if not isinstance(tree, dict):
        raise InputError(f"{_where(source, prefix)}expected a mapping, got {tree!r}")
    try:
        return schema.model_validate(tree)
    except ValidationError as error:
        lines = [_complaint(schema, tree, source, prefix, item) for item in error.errors()]
        raise InputError("\n".join(dict.fromkeys(lines))) from None


def _keys(name: str) -> tuple[str | int, ...]:
    """``model.flow[3].body`` as keys."""
    return tuple(int(index) if index else key for index, key in re.findall(r"\[(\d+)\]|(\w+)", name))


def _complaint(schema: type[BaseModel], tree: Any, source: Source, prefix: tuple[str, ...], error: Any) -> str:
    location = _settable(tree, error["loc"], error["type"])
    keys = (*prefix, *location)
    name = ".".join(map(str, keys))
    where = _where(source, keys)
    found = error.get("ctx", {}).get("error")
    if isinstance(found, InputError) and found.path and found.line is None:  # it names the key below this one itself
        return f"{_where(source, _keys(found.path))}{found}"
    if error["type"] == "extra_forbidden":
        siblings = _fields_at(schema, location[:-1])
        return f"{where}unknown key {name!r}: {did_you_mean(str(location[-1]), siblings)}"
    if error["type"] == "missing":
        return f"{where}key {name!r} is missing"
    message = error["msg"][0].lower() + error["msg"][1:]
    message = message.removeprefix("value error, ").removeprefix("input should be ")
    verb = "should be " if error["msg"].startswith("Input should be") else ""
    return f"{where}{name} = {error['input']!r}: {verb}{message}"


def _settable(tree: Any, location: tuple[Any, ...], kind: str) -> tuple[Any, ...]:
    """Drops what pydantic puts into a location beside the user's own keys (the member of a union)."""
    kept: list[Any] = []
    node = tree
    for i, key in enumerate(location):
        last_missing = kind == "missing" and i == len(location) - 1
        if isinstance(node, dict) and (key in node or last_missing):
            node = node.get(key)
            kept.append(key)
        elif isinstance(node, list) and isinstance(key, int):
            node = node[key]
            kept.append(key)
    return tuple(kept)


def _fields_at(schema: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """The keys that a section admits; unions and lists of sections are seen through."""
    current = [schema]
    for key in location:
        if isinstance(key, int):
            continue
        current = [
            found for cls in current if key in cls.model_fields for found in _sections(cls.model_fields[key].annotation)
        ]
    return sorted({name for cls in current for name in cls.model_fields})


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _sections(inner)]


def _where(source: Source, keys: Sequence[str | int]) -> str:
    place = source.place(keys)
    if place is None:
        return ""
    path, line = place
    return f"{path}:{line}: " if line else f"{path}: "


def _kind(source: Source, section: str) -> str:
    tree = source.tree.get(section)
    if not isinstance(tree, dict):
        raise InputError(f"{_where(source, (section,))}{section} should be a mapping with a 'kind', got {tree!r}")
    if "kind" not in tree:
        raise InputError(f"{_where(source, (section,))}key '{section}.kind' is missing")
    return str(tree["kind"])


def _data_class(recipe: Any, source: Source) -> type[BaseModel]:
    kind = _kind(source, "data")
    if kind not in recipe.DataConfigs:
        raise InputError(
            f"{_where(source, ('data', 'kind'))}data.kind = {kind!r} does not fit model.kind = {recipe.kind!r}: "
            f"{did_you_mean(kind, recipe.DataConfigs)}"
        )
    return recipe.DataConfigs[kind]
