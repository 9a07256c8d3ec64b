# SPDX-License-Identifier: BSD-2-Clause
"""cybertron's routes, with the habits of grpc-gateway: both spellings of names, 64-bit integers as texts."""

import re
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from spago_jax.serve.compat.cybertron import ANSWER, ROUTES, classify
from spago_jax.serve.engine.problems import Malformed, Problem
from spago_jax.serve.http.bodies import parse, read_bytes
from spago_jax.serve.http.gate import exchange_of
from spago_jax.serve.http.native import one, timeout_of
from spago_jax.serve.http.replies import JsonReply, retry
from spago_jax.serve.http.shared import Shared

CODES = {400: 3, 408: 4, 401: 16, 403: 7, 404: 5, 409: 10, 413: 8, 422: 3, 429: 8, 499: 1, 503: 14, 504: 4}
"""The codes of gRPC, by the statuses of HTTP; 13, internal, for all others."""
_STATUS = {3: 400, 8: 429, 5: 404, 16: 401, 7: 403, 10: 409, 14: 503, 4: 504, 1: 499, 13: 500}
_NUMBERS = ("top_k", "max_answers", "max_answers_len", "max_candidates", "k", "pooling_strategy")
_REALS = ("top_p", "temperature", "min_score")
_TEXTS = ("input", "question", "passage", "hypothesis_template")


def cybertron_reply(problem: Problem, request_id: str) -> Response:
    """Returns a problem as grpc-gateway does."""
    code = CODES.get(problem.status, 13)
    body = {"code": code, "message": problem.message, "details": []}
    return JsonReply(body, _STATUS[code], headers=retry(problem))


def snake(value: Any) -> Any:
    """Returns plain values with the names of fields in snake case.

    >>> snake({"candidateLabels": ["aB"], "multi_label": True})
    {'candidate_labels': ['aB'], 'multi_label': True}
    """
    if isinstance(value, dict):
        return {re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower(): snake(each) for name, each in value.items()}
    return [snake(each) for each in value] if isinstance(value, list) else value


def fields_of(body: Any) -> dict[str, Any]:
    """Returns the fields of a body, with numbers that came as texts as numbers.

    Raises:
        Malformed: for a field of another type.
    """
    if not isinstance(body, dict):
        raise Malformed("proto: syntax error: expected an object")
    return _typed(snake(body))


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in fields.items():
        if value is None:
            continue
        try:
            if name in ("parameters", "options"):
                if not isinstance(value, dict):
                    raise TypeError("expected an object")
                value = _typed(value)
            elif name in _NUMBERS:
                if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
                    raise TypeError("expected an integer")
                value = int(value)
            elif name in _REALS:
                value = float(value)
            elif name in _TEXTS and not isinstance(value, str):
                raise TypeError("expected a string")
            elif name == "candidate_labels" and not (
                isinstance(value, list) and all(isinstance(each, str) for each in value)
            ):
                raise TypeError("expected strings")
            elif name in ("multi_label", "do_sample") and not isinstance(value, bool):
                raise TypeError("expected true or false")
        except (TypeError, ValueError, OverflowError) as error:
            raise Malformed(f"proto: invalid value for field {name}: {error}") from None
        found[name] = value
    return found


def cybertron_routes(shared: Shared) -> APIRouter:
    """Returns the five routes of cybertron; where several models are served, ``model`` in the query names one."""
    router, engine = APIRouter(), shared.engine

    def add(path: str) -> None:
        async def answer(request: Request) -> Response:
            exchange_of(request).reply = cybertron_reply
            fields = fields_of(parse(await read_bytes(request, engine.limits), engine.limits))
            model = request.query_params.get("model")
            call = ROUTES[path] or classify(engine, fields, model)
            asked = call.submit(engine, fields, timeout_of(request), model)
            found = call.answer(await one(request, asked), fields)
            if call is ANSWER:  # int64 in its message: JavaScript's numbers would not hold them
                for each in found["answers"]:
                    each["start"], each["end"] = str(each["start"]), str(each["end"])
            return JsonReply(found)

        name = path.rpartition("/")[2]
        router.add_api_route(path, answer, methods=["POST"], tags=["cybertron"], summary=f"cybertron's {name}.")

    for path in ROUTES:
        add(path)
    return router
