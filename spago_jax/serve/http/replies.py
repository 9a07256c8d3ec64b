# SPDX-License-Identifier: BSD-2-Clause
"""Replies: JSON that always can be written, the one shape of errors, and events as they come."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from spago_jax.serve.engine.problems import Cancelled, Problem

Result = TypeVar("Result")
PING = 15.0
"""Seconds after which a stream without news shows that it lives."""


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """Returns JSON in UTF-8; half a character is written as its escape."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


class JsonReply(Response):
    """A value as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Its bytes."""
        return json_bytes(content)


def problem_reply(problem: Problem, request_id: str) -> Response:
    """Returns a problem in the one shape that errors have."""
    body = {"error": problem.to_dict(request_id)}
    return JsonReply(body, problem.status, headers=retry(problem))


def retry(problem: Problem) -> dict[str, str]:
    """Returns the header that says when to try again; with 429 and 503 alone."""
    if problem.status in (429, 503):
        return {"retry-after": str(max(problem.retry_after, 1))}
    return {}


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Waits for some work while its caller is there.

    Raises:
        Cancelled: once the caller has left; the work is cancelled.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Cancelled("the caller has left")
    finally:
        for task in (working, leaving):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, Problem):
                    await task


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def event(name: str, data: Mapping[str, Any]) -> bytes:
    r"""Returns one server-sent event.

    >>> event("token", {"text": "a\nb"})
    b'event: token\ndata: {"text":"a\\nb"}\n\n'
    """
    return b"event: " + name.encode() + b"\ndata: " + json_bytes(data) + b"\n\n"


class Events(Response):
    """Server-sent events as they come, until the caller leaves.

    Args:
        events: the bytes of each; closed when the caller has left.
        ping: seconds without an event after which a comment is sent.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], ping: float = PING):
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._events, self._ping = events, ping

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Sends them."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        leaving = asyncio.ensure_future(_left(receive))
        try:
            while True:
                coming = asyncio.ensure_future(anext(self._events, None))
                while not coming.done():
                    done, _ = await asyncio.wait(
                        {coming, leaving}, timeout=self._ping, return_when=asyncio.FIRST_COMPLETED
                    )
                    if leaving in done and not coming.done():
                        coming.cancel()
                        with suppress(asyncio.CancelledError):
                            await coming
                        scope["spago"].cancelled = True
                        return
                    if not done:
                        await send({"type": "http.response.body", "body": b": still here\n\n", "more_body": True})
                piece = coming.result()
                if piece is None:
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving
            close = getattr(self._events, "aclose", None)
            if close is not None:
                await close()
