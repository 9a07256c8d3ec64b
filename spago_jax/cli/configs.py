# SPDX-License-Identifier: BSD-2-Clause
"""`spago-jax configs`: everything that can be set, with defaults and meaning, read off the schema itself."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from spago_jax.cli.main import app


@app.command()
def configs(
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="A kind of model; all of them by default.")] = None,
) -> None:
    """Lists what an experiment can set: key, type, default and meaning."""
    from spago_jax.train.registry import kinds, recipe_class
    from spago_jax.train.schema import Experiment

    recipes = [recipe_class(name) for name in ([kind] if kind else kinds())]
    print("extends: another YAML file, read first and overlaid by this one")
    for line in _section(Experiment, "", skip={"data", "model"}):
        print(line)
    for recipe in recipes:
        for name, schema in recipe.DataConfigs.items():
            print(f"\ndata (kind: {name}, for model.kind {recipe.kind}): {_first(schema)}")
            print("\n".join(_section(schema, "data.", skip={"kind"})))
        print(f"\nmodel (kind: {recipe.kind}): {_first(recipe.ModelConfig)}")
        print("\n".join(_section(recipe.ModelConfig, "model.", skip={"kind"})))


def _section(schema: type[BaseModel], prefix: str, skip: set[str]) -> Iterator[str]:
    for name, field in schema.model_fields.items():
        if name in skip:
            continue
        inner = [cls for cls in _sections(field.annotation)]
        default = "" if _missing(field) else f" = {_shown(field)}"
        required = " (required)" if _missing(field) and field.is_required() else ""
        options = "" if inner else f": {_type(field.annotation)}"
        yield f"{prefix}{name}{options}{'' if inner else default}{required}    {field.description or ''}"
        many = "[].".join(["", ""]) if "tuple" in str(field.annotation) and inner else "."
        for cls in inner:
            label = f" ({cls.model_fields['name'].default})" if len(inner) > 1 and "name" in cls.model_fields else ""
            yield from _section(cls, f"{prefix}{name}{label}{many}", skip=set())


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
