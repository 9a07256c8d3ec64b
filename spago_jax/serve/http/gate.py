# SPDX-License-Identifier: BSD-2-Clause
"""Gate: what every request passes. Names it, asks for the key, measures, logs without texts, and shapes errors."""

import asyncio
import dataclasses
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders

from spago_jax.serve.engine.problems import Failed, Forbidden, Problem, Unauthorized
from spago_jax.serve.engine.request import Times
from spago_jax.serve.http.replies import problem_reply
from spago_jax.serve.keys import Key, Keys, bearer
from spago_jax.serve.metrics import Metrics
from spago_jax.serve.traces import Traces

log = logging.getLogger("spago_jax.serve")
access = logging.getLogger("spago_jax.access")
_ID = re.compile(r"^[A-Za-z0-9._:/+=-]{1,128}$")
OPEN = ("/health/", "/v2/health/", "/ui/")
"""Without a key: whether the server lives, and the pages, which hold nothing of a model's."""
_SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
    ),
}


@dataclasses.dataclass
class Exchange:
    """What is known of a request while it is answered; the log line and the headers are made of it."""

    request_id: str
    began: float = dataclasses.field(default_factory=time.perf_counter)
    key: Key | None = None
    model: str = ""
    revision: str = ""
    items: int = 0
    tokens: int = 0
    times: Times = dataclasses.field(default_factory=Times)
    status: int = 0
    cancelled: bool = False
    reply: Callable[[Problem, str], Any] = problem_reply


def exchange_of(request: Any) -> Exchange:
    """Returns what is known of a request."""
    return request.scope["spago"]


class Gate:
    """What every request passes; a pure ASGI layer, so that handlers see when a caller leaves.

    Args:
        app: what answers.
        keys: who may ask; None for everybody.
        metrics: count requests.
        stopping: whether the server is about to stop, and connections should be closed.
        open: beginnings of the paths that need no key.
    """

    def __init__(
        self,
        app: Any,
        *,
        keys: Keys | None,
        metrics: Metrics,
        stopping: Callable[[], bool],
        open: tuple[str, ...] = OPEN,
    ):
        self.app, self.keys, self.metrics, self.stopping, self.open = app, keys, metrics, stopping, open
        self.traces = Traces()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        exchange = scope["spago"] = Exchange(given if _ID.match(given) else uuid.uuid4().hex)
        self.metrics.level("inflight", self._more(1))
        started = False

        async def sending(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started, exchange.status = True, message["status"]
                self._head(MutableHeaders(scope=message), exchange, span)
            await send(message)

        with self.traces.request(scope["method"], headers) as span:
            try:
                problem = self._refused(scope, headers, exchange)
                if problem is not None:
                    await problem_reply(problem, exchange.request_id)(scope, receive, sending)
                else:
                    await self.app(scope, receive, sending)
            except asyncio.CancelledError:
                exchange.status = exchange.status or 499
                raise
            except Exception:
                log.exception("request %s failed", exchange.request_id)
                if not started:
                    problem = Failed("the server failed to answer; its log says more")
                    await exchange.reply(problem, exchange.request_id)(scope, receive, sending)
            finally:
                self._close(scope, exchange, span)

    def _refused(self, scope: Any, headers: Headers, exchange: Exchange) -> Problem | None:
        if self.keys is None:
            return None
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in ("/", "/docs") or path.startswith(self.open) or scope["method"] == "OPTIONS":
            return None
        key = bearer(headers.get("authorization"))
        if key is None:
            return Unauthorized("this server asks for a key", hint="send Authorization: Bearer KEY")
        exchange.key = self.keys.find(key)
        return Unauthorized("the key is not known") if exchange.key is None else None

    def _head(self, headers: MutableHeaders, exchange: Exchange, span: Any) -> None:
        headers["x-request-id"] = exchange.request_id
        for name, value in _SAFE.items():
            headers.setdefault(name, value)
        if exchange.status == 401:
            headers["www-authenticate"] = "Bearer"
        if exchange.model:
            headers["x-model"], headers["x-model-revision"] = exchange.model, exchange.revision
            stages = dataclasses.asdict(exchange.times)
            total = time.perf_counter() - exchange.began
            headers["server-timing"] = ", ".join(
                f"{name};dur={1000 * seconds:.1f}" for name, seconds in {**stages, "total": total}.items()
            )
        if (parent := self.traces.header(span)) is not None:
            headers["traceparent"] = parent
        if self.stopping():
            headers["connection"] = "close"

    def _close(self, scope: Any, exchange: Exchange, span: Any) -> None:
        self.metrics.level("inflight", self._more(-1))
        seconds = time.perf_counter() - exchange.began
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        code = 499 if exchange.cancelled else exchange.status
        self.metrics.count("requests_total", route=route, model=exchange.model, code=str(code))
        self.metrics.observe("request_duration_seconds", seconds, route=route)
        self.traces.close(span, route, code, exchange)
        probe = route.startswith(("/health/", "/metrics", "/v2/health/"))
        access.log(
            logging.DEBUG if probe else logging.INFO,
            "request",
            extra={
                "fields": {
                    "request_id": exchange.request_id,
                    "method": scope["method"],
                    "route": route,
                    "key": exchange.key.name if exchange.key else None,
                    "model": exchange.model or None,
                    "items": exchange.items,
                    "tokens": exchange.tokens,
                    "queue_ms": round(1000 * exchange.times.queue, 1),
                    "compute_ms": round(1000 * exchange.times.compute, 1),
                    "total_ms": round(1000 * seconds, 1),
                    "status": code,
                }
            },
        )

    _inflight = 0

    def _more(self, change: int) -> int:
        self._inflight += change
        return self._inflight


def need_admin(request: Any) -> None:
    """Lets only the key of an administrator through.

    Raises:
        Forbidden: for another key, and where the server has none.
    """
    key = exchange_of(request).key
    if key is None or not key.admin:
        raise Forbidden("only the key of an administrator opens this", hint="a line NAME KEY admin in the file of keys")


def need_write(request: Any) -> None:
    """Lets only a key that may change collections through.

    Raises:
        Forbidden: for another key, and where the server has none.
    """
    key = exchange_of(request).key
    if key is None or not (key.write or key.admin):
        raise Forbidden("only a key that may write opens this", hint="a line NAME KEY write in the file of keys")


class JsonLines(logging.Formatter):
    """Writes a log record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One object per line."""
        found = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


Handler = Callable[[Any], Awaitable[Any]]
