# SPDX-License-Identifier: BSD-2-Clause
"""The Open Inference Protocol (KServe's version 2), as far as texts need it: BYTES in, JSON or FP32 out."""

import json
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from spago_jax.core.section import Section
from spago_jax.serve.engine import Served
from spago_jax.serve.engine.problems import Problem, Refused, Unknown
from spago_jax.serve.http.bodies import read
from spago_jax.serve.http.gate import exchange_of
from spago_jax.serve.http.native import answer_dict, outcomes_of, timeout_of
from spago_jax.serve.http.replies import JsonReply, json_bytes, retry
from spago_jax.serve.http.shared import Shared

SERVER = "spago_jax"


class Tensor(Section):
    """A tensor of a request."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] = Field(default={})


class Infer(Section):
    """The body of ``infer``."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str | None = None
    parameters: dict[str, Any] = Field(default={}, description="the options of the task")
    inputs: list[Tensor] = Field(min_length=1, description="one tensor of BYTES: texts, or records as JSON")
    outputs: list[dict[str, Any]] | None = None


Content = Literal["text", "json"]


def oip_reply(problem: Problem, request_id: str) -> Response:
    """Returns a problem as the protocol knows errors."""
    return JsonReply({"error": problem.message}, problem.status, headers=retry(problem))


def texts_of(body: Infer) -> list[Any]:
    """Returns the inputs of a request: texts, or records where the tensor says that its texts are JSON.

    Raises:
        Refused: for tensors of numbers, several of them, or a shape that its data do not have.
    """
    if len(body.inputs) != 1:
        raise Refused(f"{len(body.inputs)} tensors, expected one of texts", field="inputs")
    tensor = body.inputs[0]
    if tensor.datatype != "BYTES":
        raise Refused(f"datatype {tensor.datatype!r}, expected 'BYTES'", field="inputs.0.datatype")
    if int(np.prod(tensor.shape)) != len(tensor.data) or any(size < 0 for size in tensor.shape):
        raise Refused(f"shape {tensor.shape}, and {len(tensor.data)} texts", field="inputs.0.shape")
    if not all(isinstance(value, str) for value in tensor.data):
        raise Refused("data of BYTES must be texts", field="inputs.0.data")
    if tensor.parameters.get("content_type") != "json":
        return list(tensor.data)
    try:
        return [json.loads(value) for value in tensor.data]
    except (ValueError, RecursionError) as error:
        raise Refused(f"not JSON: {error}", field="inputs.0.data") from None


def outputs_of(served: Served, answers: list[Any]) -> list[dict[str, Any]]:
    """Returns answers as a tensor: FP32 for vectors, JSON in BYTES for all else."""
    if answers and hasattr(answers[0].answer, "vector"):
        vectors = np.stack([outcome.answer.vector for outcome in answers]).astype(np.float32)
        data = vectors.astype(float).ravel().tolist()
        return [{"name": "vector", "datatype": "FP32", "shape": list(vectors.shape), "data": data}]
    data = [json_bytes(answer_dict(outcome)).decode("utf-8") for outcome in answers]
    content = {"content_type": "json"}
    return [{"name": "answer", "datatype": "BYTES", "shape": [len(data)], "data": data, "parameters": content}]


def oip_routes(shared: Shared) -> APIRouter:
    """Returns the routes of the protocol."""
    router, engine = APIRouter(), shared.engine

    def metadata(served: Served) -> dict[str, Any]:
        out = ("vector", "FP32", [-1, -1]) if served.task == "text-encoding" else ("answer", "BYTES", [-1])
        return {
            "name": served.name,
            "versions": [served.revision],
            "platform": SERVER,
            "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
            "outputs": [dict(zip(("name", "datatype", "shape"), out, strict=True))],
        }

    def of_version(model: str, version: str | None) -> Served:
        served = engine.model(model)
        if version is not None and version != served.revision:
            raise Unknown(f"model {model!r} has no version {version!r}")
        return served

    @router.get("/v2", tags=["open inference protocol"], summary="What the server is.")
    async def server(request: Request) -> Response:
        return JsonReply({"name": SERVER, "version": "2", "extensions": []})

    @router.get("/v2/health/live", tags=["open inference protocol"], summary="Whether the server lives.")
    async def live(request: Request) -> Response:
        return JsonReply({"live": True})

    @router.get("/v2/health/ready", tags=["open inference protocol"], summary="Whether the server is ready.")
    async def ready(request: Request) -> Response:
        return JsonReply({"ready": engine.reason is None}, 200 if engine.reason is None else 503)

    async def ready_model(request: Request, model: str, version: str | None = None) -> Response:
        exchange_of(request).reply = oip_reply
        served = of_version(model, version)
        return JsonReply({"name": served.name, "ready": True})

    async def about(request: Request, model: str, version: str | None = None) -> Response:
        exchange_of(request).reply = oip_reply
        return JsonReply(metadata(of_version(model, version)))

    async def infer(request: Request, model: str, version: str | None = None) -> Response:
        exchange_of(request).reply = oip_reply
        served = of_version(model, version)
        body = await read(request, engine.limits, Infer)
        options = dict(body.parameters)
        truncate = options.pop("truncate", False) is True
        asked = engine.submit(served, texts_of(body), options, timeout=timeout_of(request), truncate=truncate)
        found = list(await outcomes_of(request, asked))
        for outcome in found:
            if outcome.problem is not None:  # the protocol has no place for the fate of one text
                raise outcome.problem
        about = {"model_name": served.name, "model_version": served.revision}
        said = {} if body.id is None else {"id": body.id}
        return JsonReply({**about, **said, "outputs": outputs_of(served, found)})

    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        tags: list[Any] = ["open inference protocol"]
        shown = "versions" not in path
        router.add_api_route(path, about, tags=tags, summary="Shows a model.", include_in_schema=shown)
        router.add_api_route(
            f"{path}/ready", ready_model, tags=tags, summary="Whether a model is ready.", include_in_schema=shown
        )
        router.add_api_route(
            f"{path}/infer", infer, methods=["POST"], tags=tags, summary="Answers texts.", include_in_schema=shown
        )
    return router
