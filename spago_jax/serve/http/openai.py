# SPDX-License-Identifier: BSD-2-Clause
"""OpenAI's ``/v1/embeddings``: bodies, answers and errors as its clients know them."""

import base64
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from spago_jax.core.section import Section
from spago_jax.serve.engine.problems import Problem, Refused
from spago_jax.serve.http.bodies import read
from spago_jax.serve.http.gate import exchange_of
from spago_jax.serve.http.native import outcomes_of, timeout_of
from spago_jax.serve.http.replies import JsonReply, retry
from spago_jax.serve.http.shared import Shared

_TYPES = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}


class EmbeddingsAsk(Section):
    """The body of ``/v1/embeddings``."""

    model: str = Field(description="the name of a model of text-encoding")
    input: str | list[str] = Field(description="a text, or several")
    encoding_format: Literal["float", "base64"] = Field(default="float", description="base64: float32, little-endian")
    dimensions: int | None = Field(default=None, ge=1, description="only as many as the model has")
    user: str | None = Field(default=None, description="not looked at")


def openai_reply(problem: Problem, request_id: str) -> Response:
    """Returns a problem as OpenAI's clients know errors."""
    kind = _TYPES.get(problem.status, "invalid_request_error")
    error = {"message": problem.message, "type": kind, "param": problem.field, "code": problem.type}
    # Its clients expect 400 for what is wrong with a request.
    status = 400 if problem.status == 422 else problem.status
    return JsonReply({"error": error}, status, headers=retry(problem))


def openai_routes(shared: Shared) -> APIRouter:
    """Returns OpenAI's routes."""
    router, engine = APIRouter(), shared.engine

    @router.post("/v1/embeddings", tags=["openai"], summary="Vectors, as OpenAI's clients ask for them.")
    async def embeddings(request: Request) -> Response:
        exchange_of(request).reply = openai_reply
        body = await read(request, engine.limits, EmbeddingsAsk)
        served = engine.model(body.model)
        if served.task != "text-encoding":
            raise Refused(f"{body.model!r} does {served.task}, not text-encoding", field="model")
        texts = [body.input] if isinstance(body.input, str) else body.input
        if not texts:
            raise Refused("input is empty", field="input")
        asked = engine.submit(served, texts, timeout=timeout_of(request))
        found = await outcomes_of(request, asked)
        for outcome in found:
            if outcome.problem is not None:  # OpenAI's answer has no place for the fate of one text
                raise outcome.problem
        vectors = [np.asarray(getattr(outcome.answer, "vector"), np.float32) for outcome in found]  # noqa: B009
        if body.dimensions is not None and body.dimensions != vectors[0].shape[0]:
            raise Refused(f"dimensions = {body.dimensions}, and the model has {len(vectors[0])}", field="dimensions")
        data = [
            {"object": "embedding", "index": number, "embedding": _written(vector, body.encoding_format)}
            for number, vector in enumerate(vectors)
        ]
        tokens = sum(outcome.tokens for outcome in found)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JsonReply({"object": "list", "data": data, "model": body.model, "usage": usage})

    return router


def _written(vector: np.ndarray, form: str) -> Any:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return vector.astype(float).tolist()
