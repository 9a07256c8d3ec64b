# SPDX-License-Identifier: BSD-2-Clause
"""Bodies: read within limits, parsed, and checked, before any work."""

import asyncio
import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from spago_jax.errors import did_you_mean
from spago_jax.serve.engine.limits import Limits
from spago_jax.serve.engine.problems import Cancelled, Malformed, Refused, SlowBody, TooLarge

Body = TypeVar("Body", bound=BaseModel)
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


async def read_bytes(request: Request, limits: Limits) -> bytes:
    """Returns a body, not one byte over the limit of which is kept.

    Raises:
        TooLarge: for a longer one.
        SlowBody: where its end does not come in time.
        Cancelled: where the caller leaves in its middle.
    """
    most = limits.body_bytes
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise TooLarge(f"a body of {length} bytes, and it may have {most}", hint="send several requests")
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.timeout):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise TooLarge(f"a body of more than {most} bytes", hint="send several requests")
                parts.append(part)
    except ClientDisconnect:
        raise Cancelled("the caller has left") from None
    except TimeoutError:
        raise SlowBody(f"the body did not come within {limits.timeout:g} s") from None
    return b"".join(parts)


def parse(data: bytes, limits: Limits) -> Any:
    """Returns JSON as plain values.

    Raises:
        Malformed: for anything that is not JSON in UTF-8.
        Refused: for too deep a nesting, or half a character.
    """
    depth = 0
    for match in _BRACKETS.finditer(_STRINGS.sub(b"", data)):
        depth += 1 if match.group() in b"[{" else -1
        if depth > limits.json_depth:
            raise Refused(f"lists and objects more than {limits.json_depth} deep")
    try:
        found = json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8: {error.reason} at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    try:
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("half a surrogate pair: a text must be whole Unicode characters") from None
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def checked(section: type[Body], value: Any) -> Body:
    """Returns plain values as a body.

    Raises:
        Refused: with the field, and what was meant, for the first thing that is wrong.
    """
    if not isinstance(value, dict):
        raise Refused(f"the body is a {_kind(value)}, expected an object")
    try:
        return section.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or None
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(str(first["loc"][-1]), _names(section, first["loc"][:-1]))
            raise Refused(f"unknown field {field!r}", field=field, hint=hint) from None
        if first["type"] == "missing":
            raise Refused(f"{field} is missing", field=field) from None
        message = first["msg"].removeprefix("Value error, ")
        raise Refused(message if field is None else f"{field}: {message}", field=field) from None


def _names(section: type[BaseModel], place: tuple[Any, ...]) -> list[str]:
    at: Any = section
    for part in place:
        field = getattr(at, "model_fields", {}).get(part)
        found = [kind for kind in _classes(field.annotation)] if field is not None else []
        at = found[0] if found else None
    return list(getattr(at, "model_fields", {}) or ["nothing"])


def _classes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _classes(part)]


def _kind(value: Any) -> str:
    names = {list: "list", str: "text", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


async def read(request: Request, limits: Limits, section: type[Body]) -> Body:
    """Reads, parses and checks a body."""
    return checked(section, parse(await read_bytes(request, limits), limits))
