# SPDX-License-Identifier: BSD-2-Clause
"""Sections of a config as text: a line for each key, with its type, limits and default in words."""

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

_WORDS = {int: "int", float: "float", str: "str", bool: "true or false", Any: "anything"}
_BELOW = {annotated_types.Ge: "<=", annotated_types.Gt: "<"}
_ABOVE = {annotated_types.Le: "<=", annotated_types.Lt: "<"}


def section_lines(schema: type[BaseModel], prefix: str, skip: Sequence[str] = ()) -> Iterator[str]:
    """Yields a line ``key: type (default)    meaning`` for each key of a section and of the sections in it."""
    for name, field in schema.model_fields.items():
        if name in skip:
            continue
        inner = sections(field.annotation)
        key = f"{prefix}{field.alias or name}"
        several = "[]" if inner and _is_list(field.annotation) else ""
        kinds = [kind for cls in inner if (kind := _kind(cls))] if len(inner) > 1 else []
        if kinds:
            what = "list of sections" if several else "section"
            words = f"{what}, {_discriminator(inner[0])} one of: {', '.join(kinds)}"
        elif inner:
            words = "list of sections" if several else "section"
        else:
            words = type_text(field.annotation, field.metadata, file=_names_file(name, field, prefix))
        yield f"{key}{several}: {words}{_default(field, inner)}    {field.description or ''}".rstrip()
        for cls in inner:
            label = f" ({_discriminator(cls)}: {_kind(cls)})" if kinds else ""
            own = [_discriminator(cls)] if kinds else []
            yield from section_lines(cls, f"{key}{several}{label}.", skip=own)


def sections(annotation: object) -> list[type[BaseModel]]:
    """Returns the sections that a type may be, or be a list of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [found for inner in get_args(annotation) for found in sections(inner)]


def first_sentence(schema: type[BaseModel]) -> str:
    """Returns the first line of a section's docstring."""
    return (schema.__doc__ or "").strip().splitlines()[0]


def type_text(annotation: object, limits: Sequence[Any] = (), *, file: bool = False) -> str:
    """Returns a type with its limits in words.

    >>> type_text(int | None, [annotated_types.Ge(1)]), type_text(float, [annotated_types.Ge(0), annotated_types.Lt(1)])
    ('int > 0 or null', '0 <= float < 1')
    >>> type_text(Literal["a", "b"]), type_text(str | tuple[str, ...], file=True)
    ('one of: a, b', 'file or list of files')
    """
    if isinstance(annotation, FieldInfo):
        return type_text(annotation.annotation, annotation.metadata, file=file)
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        more = [found for item in inside[1:] for found in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return type_text(inside[0], [*limits, *more], file=file)
    if origin in (Union, types.UnionType):
        words = [type_text(item, limits, file=file) for item in inside if item is not type(None)]
        return " or ".join([*words, "null"] if type(None) in inside else words)
    if origin is Literal:
        names = ", ".join(str(item) for item in inside)
        return f"one of: {names}" if len(inside) > 1 else names
    if origin is tuple and inside[-1] is Ellipsis:
        item = type_text(inside[0], file=file)
        return "list" if item == "anything" else f"list of {_plural(item)}"
    if origin is tuple:
        return f"[{', '.join(type_text(item, file=file) for item in inside)}]"
    if origin is dict:
        return f"mapping of {type_text(inside[0])} to {type_text(inside[1])}"
    if annotation is type(None):
        return "null"
    word = "file" if file and annotation is str else _WORDS.get(annotation, getattr(annotation, "__name__", "anything"))
    return _limited(word, limits)


def _plural(item: str) -> str:
    return f"{item}s" if item == "file" else item


def _limited(word: str, limits: Sequence[Any]) -> str:
    low = high = ""
    for limit in limits:
        for kind, sign in _BELOW.items():
            if type(limit) is kind:
                value = getattr(limit, kind.__name__.lower())
                low = f"{value:g} {sign} "
                if word == "int" and low == "1 <= ":
                    low = "0 < "
        for kind, sign in _ABOVE.items():
            if type(limit) is kind:
                value = getattr(limit, kind.__name__.lower())
                high = f" {sign} {value:g}" if value < 1e6 else f" {sign} {value:,}"
    if low and not high:
        bound, sign = low.split()
        return f"{word} {'>' if sign == '<' else '>='} {bound}"
    return f"{low}{word}{high}"


def _names_file(name: str, field: FieldInfo, prefix: str) -> bool:
    said = (field.description or "").split(",")[0].split(" ")
    in_data = prefix.startswith("data") and name != "folder" and ("file" in said or name in ("train", "dev", "test"))
    return in_data or said[0] == "file"


def _is_list(annotation: object) -> bool:
    if get_origin(annotation) is tuple:
        return True
    return any(_is_list(inner) for inner in get_args(annotation) if get_origin(annotation) is not Literal)


def _discriminator(schema: type[BaseModel]) -> str:
    return next((key for key in ("kind", "format", "name") if key in schema.model_fields), "")


def _kind(schema: type[BaseModel]) -> str:
    """Returns the value of the key that tells the members of a union apart; empty if there is no such key."""
    key = _discriminator(schema)
    values = get_args(schema.model_fields[key].annotation) if key else ()
    return str(values[0]) if len(values) == 1 else ""


def _default(field: FieldInfo, inner: Sequence[type[BaseModel]]) -> str:
    from spago_jax.report.compare.differences import setting

    if field.is_required():
        return " (required)"
    if field.default is PydanticUndefined:
        return ""
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    if isinstance(value, BaseModel):
        return f" (default {_kind(type(value))})" if _kind(type(value)) else ""
    return f" (default {setting(value)})" if not inner or value is None else ""
