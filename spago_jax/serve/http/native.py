# SPDX-License-Identifier: BSD-2-Clause
"""The native routes: models, and their answers one by one, in lists and as they are written."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Self

from fastapi import APIRouter
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from spago_jax.core.section import Section
from spago_jax.serve.engine import Outcome, Served
from spago_jax.serve.engine.problems import Malformed, Problem, Refused, Unknown, problem_of
from spago_jax.serve.engine.request import Request as EngineRequest
from spago_jax.serve.http.bodies import read
from spago_jax.serve.http.gate import exchange_of, need_admin
from spago_jax.serve.http.replies import Events, JsonReply, event, unless_gone
from spago_jax.serve.http.shared import Shared


class Ask(Section):
    """The body of a native route."""

    input: Any = Field(default=None, description="one input, as the task takes it")
    inputs: list[Any] | None = Field(default=None, description="several, each answered, or refused, by itself")
    options: dict[str, Any] = Field(default={}, description="what the task lets a user set")
    truncate: bool = Field(default=False, description="cut an input where the model reads no further")
    stream: bool = Field(default=False, description="send the text as it is written, by server-sent events")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if ("input" in self.model_fields_set) == ("inputs" in self.model_fields_set):
            raise ValueError("give input, or inputs")
        if self.stream and self.inputs is not None:
            raise ValueError("stream: only one input is streamed; give input")
        return self


def timeout_of(request: Request) -> float | None:
    """Returns the seconds that a request asks for, in milliseconds by its header.

    Raises:
        Malformed: for anything that is not a positive number.
    """
    text = request.headers.get("x-request-timeout")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10**9):
        raise Malformed(f"X-Request-Timeout is {text[:20]!r}, expected milliseconds", field="X-Request-Timeout")
    return int(text) / 1000


async def outcomes_of(request: Request, asked: EngineRequest) -> Sequence[Outcome]:
    """Waits for the outcomes of a request while its caller is there, and notes what they took."""
    exchange = exchange_of(request)
    exchange.model, exchange.revision, exchange.items = asked.model, asked.revision, len(asked.outcomes)
    exchange.times = asked.times
    try:
        found = await unless_gone(request, asked.wait(asked.timeout))
    except Problem as problem:
        exchange.cancelled = problem.status == 499
        raise
    exchange.tokens = sum(outcome.tokens for outcome in found)
    return found


async def one(request: Request, asked: EngineRequest) -> Outcome:
    """Waits for the outcome of the only input.

    Raises:
        Problem: where there is no answer.
    """
    (found,) = await outcomes_of(request, asked)
    if found.problem is not None:
        raise _alone(found.problem)
    return found


def _alone(problem: Problem) -> Problem:
    if problem.field == "inputs[0]":
        problem.field = "input"
    return problem


def answer_dict(outcome: Outcome) -> dict[str, Any]:
    """Returns an answer as plain values, without the line of a file that it did not come from."""
    assert outcome.answer is not None
    found = outcome.answer.to_dict()
    if not found.get("line"):
        found.pop("line", None)
    return found


def model_dict(served: Served) -> dict[str, Any]:
    """Returns what is said about a model."""
    section = served.Options
    return {
        "name": served.name,
        "task": served.task,
        "state": "open",
        "revision": served.revision,
        "streams": served.streams,
        "options": {} if section is None else section.model_json_schema().get("properties", {}),
        "url": f"/v1/models/{served.name}/{served.task}",
    }


def lazy_dict(name: str, task: str) -> dict[str, Any]:
    """Returns what is said about a model that is opened when it is asked for, and is not open."""
    about = {"name": name, "task": task, "state": "closed", "revision": "", "streams": False, "options": {}}
    return {**about, "url": f"/v1/models/{name}/{task}"}


def native_routes(shared: Shared) -> APIRouter:
    """Returns the routes of models."""
    router, engine = APIRouter(), shared.engine

    @router.get("/v1/models", tags=["models"], summary="Lists the models.")
    async def models(request: Request) -> Response:
        found = [model_dict(served) for served in engine.models.values()]
        found += [lazy_dict(name, task) for name, task in engine.closed().items()]
        # ``object`` and ``id`` are what OpenAI's clients look for.
        data = [{"id": each["name"], "object": "model", "owned_by": "spago_jax", **each} for each in found]
        return JsonReply({"object": "list", "data": data, "collections": sorted(shared.collections)})

    @router.get("/v1/models/{model}", tags=["models"], summary="Shows a model.")
    async def model(request: Request, model: str) -> Response:
        closed = engine.closed()
        if model in closed:
            return JsonReply(lazy_dict(model, closed[model]))
        return JsonReply(model_dict(engine.model(model)))

    @router.post("/v1/models/{model}:load", tags=["models"], summary="Opens a model again, and swaps it in.")
    async def load(request: Request, model: str) -> Response:
        need_admin(request)
        served = await asyncio.to_thread(shared.reload, model)
        return JsonReply(model_dict(served))

    @router.post("/v1/models/{model}/{task}", tags=["tasks"], summary="Answers.")
    async def answer(request: Request, model: str, task: str) -> Response:
        served = engine.model(model, task)
        body = await read(request, engine.limits, Ask)
        timeout = timeout_of(request)
        if body.stream:
            return await _streamed(request, served, body, timeout)
        inputs = [body.input] if body.inputs is None else body.inputs
        asked = engine.submit(served, inputs, body.options, timeout=timeout, truncate=body.truncate)
        about = {"model": served.name, "revision": served.revision, "task": served.task}
        if body.inputs is None:
            outcome = await one(request, asked)
            said = {"truncated": True} if outcome.dropped else {}
            usage = {"items": 1, "tokens": outcome.tokens}
            return JsonReply({**about, "answer": answer_dict(outcome), **said, "usage": usage})
        found = await outcomes_of(request, asked)
        results = [_result(outcome, exchange_of(request).request_id) for outcome in found]
        usage = {"items": len(found), "tokens": sum(outcome.tokens for outcome in found)}
        return JsonReply({**about, "results": results, "usage": usage})

    async def _streamed(request: Request, served: Served, body: Ask, timeout: float | None) -> Response:
        stream = engine.stream(served, body.input, body.options, timeout=timeout)
        exchange = exchange_of(request)
        exchange.model, exchange.revision, exchange.items = served.name, served.revision, 1
        pieces = stream.read()
        # What is wrong with the input is said with its status, before the stream begins.
        first = await unless_gone(request, anext(pieces, None))

        async def events() -> AsyncIterator[bytes]:
            number, piece = 0, first
            try:
                while piece is not None:
                    yield event("token", {"index": number, "text": piece})
                    number += 1
                    piece = await anext(pieces, None)
            except Problem as problem:
                yield event("error", {"error": problem.to_dict(exchange.request_id)})
                return
            finally:
                await pieces.aclose()  # type: ignore[attr-defined]
            yield event("done", {"model": served.name, "usage": {"items": 1, "pieces": number}})

        return Events(events(), shared.ping)

    return router


def _result(outcome: Outcome, request_id: str) -> Mapping[str, Any]:
    if outcome.problem is not None:
        return {"status": outcome.status, "error": outcome.problem.to_dict(request_id)}
    said = {"truncated": True} if outcome.dropped else {}
    return {"status": 200, "answer": answer_dict(outcome), **said}


__all__ = ["Ask", "Refused", "Unknown", "native_routes", "problem_of"]
