# SPDX-License-Identifier: BSD-2-Clause
"""spaGO 0.7's routes, as its clients know them: any method, ``?pretty``, errors as plain text."""

import json
import time
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from spago_jax.serve.compat.call import Call
from spago_jax.serve.compat.spago import FIELDS, PAGES, ROUTES
from spago_jax.serve.engine.problems import Malformed, Problem
from spago_jax.serve.http.bodies import parse, read_bytes
from spago_jax.serve.http.gate import exchange_of
from spago_jax.serve.http.native import one, timeout_of
from spago_jax.serve.http.replies import retry
from spago_jax.serve.http.shared import Shared

_KINDS = {str: "string", int: "number", bool: "bool", list: "array", dict: "object"}
# Go's encoder writes these as escapes, so that JSON can stand in a page.
_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def go_json(value: Any, *, pretty: bool = False) -> bytes:
    r"""Returns JSON as Go writes it, by four blanks where it should be pretty.

    >>> go_json({"a": "<b>"})
    b'{"a":"\\u003cb\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":") if not pretty else (",", ": "),
                      indent=4 if pretty else None)  # fmt: skip
    return text.translate(_ESCAPES).encode("utf-8", "backslashreplace")


def spago_reply(problem: Problem, request_id: str) -> Response:
    """Returns a problem as spaGO does: plain text, and 503 where it takes too long.

    What the request is to blame for is 400; spaGO answered 500 where its model, rather than its decoder, found out.
    """
    status = {422: 400, 504: 503}.get(problem.status, problem.status)
    text = "Timeout" if problem.status == 504 else f"{problem.message}\n"
    return Response(text, status, media_type="text/plain", headers=retry(problem))


def fields_of(path: str, body: Any) -> dict[str, Any]:
    """Returns the fields of a body, checked as Go's decoder checks them.

    Raises:
        Malformed: for a field of another type.
    """
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise Malformed("json: cannot unmarshal this value into an object")
    found = {}
    for name, kind in FIELDS[path].items():
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise Malformed(f"json: cannot unmarshal this value into field {name} of type {_KINDS[kind]}")
        if kind is list and not all(isinstance(item, str) for item in value):
            raise Malformed(f"json: cannot unmarshal this value into field {name} of type []string")
        found[name] = value
    return found


def spago_routes(shared: Shared) -> APIRouter:
    """Returns the ten routes of spaGO's servers, and its four pages."""
    router, engine = APIRouter(), shared.engine

    def add(path: str, call: Call) -> None:
        async def answer(request: Request) -> Response:
            exchange_of(request).reply = spago_reply
            began = time.perf_counter()
            fields = fields_of(path, parse(await read_bytes(request, engine.limits), engine.limits))
            asked = call.submit(engine, fields, timeout_of(request))
            found = call.answer(await one(request, asked), fields)
            found["took"] = int(1000 * (time.perf_counter() - began))
            return Response(go_json(found, pretty="pretty" in request.query_params), media_type="application/json")

        router.add_api_route(path, answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
        router.add_api_route(path, answer, methods=["POST"], tags=["spago"], summary=f"spaGO's {call.name}.")

    for path, call in ROUTES.items():
        add(path, call)

    def add_page(path: str, page: str) -> None:
        async def show(request: Request) -> Response:
            return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/{page}", 307)

        router.add_api_route(path, show, methods=["GET"], include_in_schema=False)

    if shared.config.pages:
        for path, page in PAGES.items():
            add_page(path, page)
    return router
