# SPDX-License-Identifier: BSD-2-Clause
"""The HTTP app: every route of a server, behind one gate; and the same for somebody's own app."""

from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from spago_jax.serve.config import ServeConfig
from spago_jax.serve.engine import Engine
from spago_jax.serve.engine.problems import Cancelled, Malformed, Problem, Unknown, WrongMethod
from spago_jax.serve.http.collections import collection_routes
from spago_jax.serve.http.cybertron import cybertron_routes
from spago_jax.serve.http.gate import Gate, exchange_of
from spago_jax.serve.http.native import native_routes
from spago_jax.serve.http.oip import oip_routes
from spago_jax.serve.http.openai import openai_routes
from spago_jax.serve.http.openapi import openapi_of
from spago_jax.serve.http.pages import page_routes
from spago_jax.serve.http.replies import JsonReply
from spago_jax.serve.http.shared import Shared
from spago_jax.serve.http.spago import spago_routes


def make_app(shared: Shared) -> FastAPI:
    """Returns the app of a server.

    Args:
        shared: the engine, and all else that its doors have in common.
    """
    config, engine = shared.config, shared.engine
    app = FastAPI(title="spago_jax", openapi_url=None, docs_url=None, redoc_url=None)
    # Types of arguments that FastAPI finds by their names; one router per system, the native one first.
    app.include_router(native_routes(shared))
    app.include_router(collection_routes(shared))
    app.include_router(openai_routes(shared))
    app.include_router(oip_routes(shared))
    if "spago" in config.compat:
        app.include_router(spago_routes(shared))
    if "cybertron" in config.compat:
        app.include_router(cybertron_routes(shared))
    _health(app, shared)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        body, kind = shared.metrics.text()
        return Response(body, media_type=kind)

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        return JsonReply(openapi_of(shared, request.scope.get("root_path", "")))

    if config.pages:
        app.include_router(page_routes())

        @app.get("/", include_in_schema=False)
        async def home(request: Request) -> Response:
            return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/", 307)

    async def say(request: Request, problem: Problem) -> Response:
        exchange = exchange_of(request)
        exchange.cancelled = isinstance(problem, Cancelled)
        return exchange.reply(problem, exchange.request_id)

    async def problem_of_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return await say(request, error)

    async def http_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        problem: Problem = Malformed(str(error.detail))
        if error.status_code == 404:
            problem = Unknown("no such route", hint="GET /openapi.json lists them")
        elif error.status_code == 405:
            problem = WrongMethod(f"{request.method} is not a method of this route")
        reply = await say(request, problem)
        if error.headers:
            reply.headers.update(error.headers)
        return reply

    app.add_exception_handler(Problem, problem_of_route)
    app.add_exception_handler(HTTPException, http_problem)
    if config.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.cors),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id", "X-Request-Timeout", "traceparent"],
            expose_headers=["X-Request-Id", "Server-Timing", "X-Model", "X-Model-Revision", "Retry-After"],
        )
    app.add_middleware(
        Gate, keys=shared.keys, metrics=shared.metrics, stopping=lambda: engine.state in ("draining", "closed")
    )
    return app


def _health(app: FastAPI, shared: Shared) -> None:
    engine = shared.engine

    @app.get("/health/live", tags=["health"], summary="Whether the process lives.")
    async def live(request: Request) -> Response:
        return JsonReply({"status": "live"})

    @app.get("/health/ready", tags=["health"], summary="Whether requests should come here.")
    async def ready(request: Request) -> Response:
        reason = engine.reason
        items, tokens = engine.waiting
        body = {"status": "ready" if reason is None else "not ready", "reason": reason}
        state = {"state": engine.state, "queue": {"items": items, "tokens": tokens}, "models": sorted(engine.models)}
        headers = {} if reason is None else {"retry-after": "5"}
        return JsonReply({**body, **state}, 200 if reason is None else 503, headers=headers)

    @app.get("/health/models/{model}", tags=["health"], summary="Whether a model answers.")
    async def model_ready(request: Request, model: str) -> Response:
        return JsonReply({"status": "ready", "revision": engine.model(model).revision})


def mount(app: Any, engine: Engine, path: str = "/spago", config: ServeConfig | None = None, **shared: Any) -> FastAPI:
    """Serves an engine below a path of somebody's own FastAPI or Starlette app.

    Args:
        app: the app.
        engine: what answers; whoever made it closes it.
        path: below which all routes are.
        config: which routes there are; the models and doors in it are not looked at.
        shared: what else ``Shared`` takes: ``keys``, ``collections``.

    Returns:
        The app that was mounted.
    """
    made = make_app(Shared(engine, config or ServeConfig(), **shared))
    app.mount(path, made)
    return made
