# SPDX-License-Identifier: BSD-2-Clause
"""What every method of the gRPC door passes: keys, deadlines, statuses, counts; and methods by their names."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc

from spago_jax.serve.engine import Outcome
from spago_jax.serve.engine.problems import Problem, Refused, Unauthorized, problem_of
from spago_jax.serve.engine.request import Request
from spago_jax.serve.grpc.messages import message, service
from spago_jax.serve.http.shared import Shared
from spago_jax.serve.keys import bearer

log = logging.getLogger("spago_jax.serve")
access = logging.getLogger("spago_jax.access")
_Status = grpc.StatusCode
CODES = {
    400: _Status.INVALID_ARGUMENT, 401: _Status.UNAUTHENTICATED, 403: _Status.PERMISSION_DENIED,
    404: _Status.NOT_FOUND, 409: _Status.ABORTED, 413: _Status.INVALID_ARGUMENT, 422: _Status.INVALID_ARGUMENT,
    429: _Status.RESOURCE_EXHAUSTED, 499: _Status.CANCELLED, 503: _Status.UNAVAILABLE, 504: _Status.DEADLINE_EXCEEDED,
}  # fmt: skip
"""The codes of gRPC by the statuses of HTTP; INTERNAL for all others."""
OPEN = ("/grpc.health.v1.Health/",)


class Doorkeeper(grpc.aio.ServerInterceptor):
    """Asks for the key, as the HTTP door does; health is open."""

    def __init__(self, shared: Shared):
        self._shared = shared

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Lets a call through, or refuses it in its own kind."""
        handler = await continuation(handler_call_details)
        keys, path = self._shared.keys, handler_call_details.method
        if keys is None or handler is None or path.startswith(OPEN):
            return handler
        found = dict(handler_call_details.invocation_metadata or ())
        key = bearer(found.get("authorization"))
        if key is not None and keys.find(key) is not None:
            return handler
        problem = Unauthorized("this server asks for a key" if key is None else "the key is not known")

        async def refuse(_: Any, context: Any) -> None:
            await abort(context, problem)

        async def refuse_stream(_: Any, context: Any) -> AsyncIterator[None]:
            await abort(context, problem)
            yield

        make = {
            (False, False): (grpc.unary_unary_rpc_method_handler, refuse),
            (False, True): (grpc.unary_stream_rpc_method_handler, refuse_stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, refuse),
            (True, True): (grpc.stream_stream_rpc_method_handler, refuse_stream),
        }
        kind, answer = make[handler.request_streaming, handler.response_streaming]
        return kind(answer, handler.request_deserializer, handler.response_serializer)


async def abort(context: Any, problem: Problem) -> None:
    """Ends a call with a problem; what a client may want of it is in the metadata after it."""
    said = {"spago-error": problem.type, "spago-field": problem.field, "spago-hint": problem.hint}
    if problem.status in (429, 503):
        said["retry-after"] = str(max(problem.retry_after, 1))
    metadata = tuple((name, _ascii(value)) for name, value in said.items() if value)
    await context.abort(CODES.get(problem.status, _Status.INTERNAL), problem.message, metadata)


def _ascii(value: str) -> str:
    return value.encode("ascii", "backslashreplace").decode("ascii")


def timeout_of(context: Any) -> float | None:
    """Returns the seconds that a caller gives; None where it does not say."""
    left = context.time_remaining()
    return None if left is None or left > 1e8 else max(left, 0.001)


async def outcomes(context: Any, asked: Request) -> list[Outcome]:
    """Waits for the outcomes of a request; a caller who cancels cancels it."""
    found = list(await asked.wait(asked.timeout))
    times = asked.times
    stages = {"tokenize": times.tokenize, "queue": times.queue, "compute": times.compute}
    said = ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in stages.items())
    context.set_trailing_metadata((("server-timing", said), ("x-model-revision", _ascii(asked.revision))))
    return found


def handler_of(shared: Shared, name: str, methods: Mapping[str, Callable[..., Any]]) -> Any:
    """Returns a service by its name: each method is a coroutine, or an asynchronous generator where it streams.

    Args:
        shared: what the doors have in common.
        name: of the service.
        methods: from the names of its methods to functions ``(request, context)``.
    """
    described, found = service(name), {}
    for method in described.methods:
        route = f"/{name}/{method.name}"
        function = methods[method.name]
        taken, given = message(method.input_type.full_name), message(method.output_type.full_name)
        codec = {"request_deserializer": taken.FromString, "response_serializer": given.SerializeToString}
        streams = method.server_streaming
        guarded = _guarded_stream(shared, route, function) if streams else _guarded(shared, route, function)
        if method.client_streaming:
            found[method.name] = grpc.stream_stream_rpc_method_handler(guarded, **codec)
        elif streams:
            found[method.name] = grpc.unary_stream_rpc_method_handler(guarded, **codec)
        else:
            found[method.name] = grpc.unary_unary_rpc_method_handler(guarded, **codec)
    return grpc.method_handlers_generic_handler(name, found)


def _guarded(shared: Shared, route: str, function: Callable[..., Any]) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        async with _call(shared, route, context):
            return await function(request, context)

    return answer


def _guarded_stream(shared: Shared, route: str, function: Callable[..., Any]) -> Any:
    async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
        async with _call(shared, route, context):
            async for reply in function(request, context):
                yield reply

    return answer


@asynccontextmanager
async def _call(shared: Shared, route: str, context: Any) -> AsyncIterator[None]:
    """Counts a call, and ends it with the status of whatever is raised inside."""
    with _Call(shared, route) as call:
        try:
            yield
        except Problem as problem:
            call.status = problem.status
            await abort(context, problem)
        except Exception as error:
            call.status = await _failed(route, error, context)


async def _failed(route: str, error: Exception, context: Any) -> int:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    problem = problem_of(error)
    if not isinstance(problem, Refused):
        log.error("%s failed", route, exc_info=error)
    await abort(context, problem)
    return problem.status


class _Call:
    """Counts a call and writes its line of the log."""

    def __init__(self, shared: Shared, route: str):
        self._shared, self._route, self.status = shared, route, 200
        self._began = time.perf_counter()

    def __enter__(self) -> "_Call":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind in (asyncio.CancelledError, GeneratorExit):
            self.status = 499
        seconds = time.perf_counter() - self._began
        metrics = self._shared.metrics
        metrics.count("requests_total", route=self._route, model="", code=str(self.status))
        metrics.observe("request_duration_seconds", seconds, route=self._route)
        fields = {"route": self._route, "status": self.status, "total_ms": round(1000 * seconds, 1)}
        access.info("call", extra={"fields": fields})
