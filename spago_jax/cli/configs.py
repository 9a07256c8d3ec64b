# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax configs`: everything that can be set, with defaults and meaning, read off the schema itself."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from spago_jax.cli.app import app


@app.command()
def configs(
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="A task; all of them by default.")] = None,
) -> None:
    """Lists what an experiment can set: key, type, default and meaning."""
    from spago_jax.tasks.registry import TASKS
    from spago_jax.train.schema import Experiment

    tasks = [TASKS.find(name) for name in ([task] if task else TASKS.names())]
    print("extends: another YAML file, read first and overlaid by this one")
    for line in _section(Experiment, "", skip={"data", "model", "train"}):
        print(line)
    for found in tasks:
        for reader in found.readers:
            print(f"\ndata (format: {_only(reader, 'format')}, for task: {found.name}): {_first(reader)}")
            print("\n".join(_section(reader, "data.", skip={"format"})))
        print(f"\nmodel (for task: {found.name}): {_first(found.ModelConfig)}")
        print("\n".join(_section(found.ModelConfig, "model.", skip=set())))
        print(f"\ntrain (for task: {found.name}): {_first(found.TrainConfig)}")
        print("\n".join(_section(found.TrainConfig, "train.", skip=set())))


def _section(schema: type[BaseModel], prefix: str, skip: set[str]) -> Iterator[str]:
    for name, field in schema.model_fields.items():
        if name in skip:
            continue
        inner = [cls for cls in _sections(field.annotation)]
        default = "" if _missing(field) else f" = {_shown(field)}"
        required = " (required)" if _missing(field) and field.is_required() else ""
        options = "" if inner else f": {_type(field.annotation)}"
        name = field.alias or name
        yield f"{prefix}{name}{options}{'' if inner else default}{required}    {field.description or ''}"
        many = "[].".join(["", ""]) if "tuple" in str(field.annotation) and inner else "."
        for cls in inner:
            label = f" ({_label(cls)})" if len(inner) > 1 else ""
            yield from _section(cls, f"{prefix}{name}{label}{many}", skip=set())


def _only(schema: type[BaseModel], key: str) -> str:
    """The one value that a discriminating key may have."""
    return schema.model_fields[key].annotation.__args__[0]  # type: ignore[union-attr]


def _label(schema: type[BaseModel]) -> str:
    """The value of the key that tells the members of a union apart."""
    key = next((key for key in ("kind", "format", "name") if key in schema.model_fields), None)
    return schema.__name__ if key is None else f"{key}: {_only(schema, key)}"


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _sections(inner)]


def _missing(field: Any) -> bool:
    return field.default is PydanticUndefined


def _shown(field: Any) -> str:
    return repr(list(field.default) if isinstance(field.default, tuple) else field.default)


def _type(annotation: Any) -> str:
    text = getattr(annotation, "__name__", None) if isinstance(annotation, type) else None
    text = text or str(annotation)
    for long, short in (("typing.", ""), ("NoneType", "None"), ("Literal", "")):
        text = text.replace(long, short)
    import re

    return re.sub(r"Annotated\[(\w+), [^\]]*\]+", r"\1", text)


def _first(schema: type[BaseModel]) -> str:
    return (schema.__doc__ or "").strip().splitlines()[0]
