# SPDX-License-Identifier: BSD-2-Clause
"""The native service, ``spago.v1.Spago``: the same answers, numbers and refusals as those of the HTTP door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

from spago_jax.errors import did_you_mean
from spago_jax.serve.collections import Mode
from spago_jax.serve.engine import Outcome
from spago_jax.serve.engine.problems import Problem, Refused
from spago_jax.serve.grpc.door import outcomes, timeout_of
from spago_jax.serve.grpc.messages import message, plain_of, struct_of
from spago_jax.serve.http.native import answer_dict
from spago_jax.serve.http.shared import Shared

NAME = "spago.v1.Spago"


def _said(problem: Problem) -> Any:
    found = {"type": problem.type, "message": problem.message, "field": problem.field, "hint": problem.hint}
    return message("spago.v1.Problem")(**{name: value for name, value in found.items() if value})


def _result(outcome: Outcome) -> Any:
    made = message("spago.v1.Result")
    if outcome.problem is not None:
        return made(status=outcome.status, problem=_said(outcome.problem))
    return made(status=200, answer=struct_of(answer_dict(outcome)), truncated=bool(outcome.dropped))


def native_methods(shared: Shared) -> dict[str, Callable[..., Any]]:
    """Returns the methods of the service."""
    engine = shared.engine

    async def list_models(request: Any, context: Any) -> Any:
        models = [
            message("spago.v1.Model")(
                name=served.name, task=served.task, revision=served.revision, streams=served.streams
            )
            for served in engine.models.values()
        ]
        return message("spago.v1.ListModelsReply")(models=models, collections=sorted(shared.collections))

    async def answer(request: Any, context: Any) -> Any:
        served = engine.model(request.model)
        asked = engine.submit(
            served, [plain_of(each) for each in request.inputs], plain_of(request.options),
            timeout=timeout_of(context), truncate=request.truncate,
        )  # fmt: skip
        found = await outcomes(context, asked)
        return message("spago.v1.AnswerReply")(
            model=served.name, revision=served.revision, results=[_result(outcome) for outcome in found],
            tokens=sum(outcome.tokens for outcome in found),
        )  # fmt: skip

    async def answer_stream(requests: Any, context: Any) -> AsyncIterator[Any]:
        # Answered in order; a few are taken on ahead, so that batches can be made of them.
        ahead: list[asyncio.Task[Any]] = []
        try:
            async for request in requests:
                ahead.append(asyncio.ensure_future(answer(request, context)))
                if len(ahead) >= 16:
                    yield await ahead.pop(0)
            while ahead:
                yield await ahead.pop(0)
        finally:
            for task in ahead:
                task.cancel()

    async def generate(request: Any, context: Any) -> AsyncIterator[Any]:
        stream = engine.stream(
            request.model, plain_of(request.input), plain_of(request.options), timeout=timeout_of(context)
        )
        pieces, number = stream.read(), 0
        try:
            async for piece in pieces:
                yield message("spago.v1.GenerateReply")(index=number, text=piece)
                number += 1
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]

    async def encode(request: Any, context: Any) -> Any:
        served = engine.model(request.model)
        if served.task != "text-encoding":
            raise Refused(f"{request.model!r} does {served.task}, not text-encoding", field="model")
        asked = engine.submit(
            served, list(request.texts), plain_of(request.options), timeout=timeout_of(context),
            truncate=request.truncate,
        )  # fmt: skip
        made, found = message("spago.v1.Vector"), await outcomes(context, asked)
        vectors = [
            made(problem=_said(outcome.problem))
            if outcome.problem is not None
            else made(values=getattr(outcome.answer, "vector").tolist())  # noqa: B009
            for outcome in found
        ]
        return message("spago.v1.EncodeReply")(vectors=vectors, tokens=sum(outcome.tokens for outcome in found))

    async def search(request: Any, context: Any) -> Any:
        collection = shared.collection(request.collection)
        if not request.query:
            raise Refused("the query is empty", field="query")
        mode = request.mode or "dense"
        if mode not in get_args(Mode):
            raise Refused(f"mode = {mode!r}", field="mode", hint=did_you_mean(mode, get_args(Mode)))
        least = request.min_score if request.HasField("min_score") else None
        if least is not None and mode != "dense":
            raise Refused(f"min_score is of cosines, and the mode is {mode}; leave one out", field="min_score")
        outcome = None
        if mode != "words":
            (outcome,) = await outcomes(context, collection.ask(engine, request.query, timeout_of(context)))
            if outcome.problem is not None:
                raise outcome.problem
        count = request.top_k or 5
        if not 1 <= count <= 100:
            raise Refused(f"top_k = {count}, expected 1 to 100", field="top_k")
        hits = await asyncio.to_thread(
            collection.nearest, request.query, outcome, count, least, dict(request.filter), mode
        )
        made = message("spago.v1.Hit")
        return message("spago.v1.SearchReply")(hits=[made(**hit.to_dict()) for hit in hits])

    return {
        "ListModels": list_models, "Answer": answer, "AnswerStream": answer_stream, "Generate": generate,
        "Encode": encode, "Search": search,
    }  # fmt: skip
