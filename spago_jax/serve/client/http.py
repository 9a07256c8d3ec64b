# SPDX-License-Identifier: BSD-2-Clause
"""Clients over HTTP: one that waits, and one for an event loop."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2

from spago_jax.serve.client.events import Events
from spago_jax.serve.client.retries import Retries, ServerError

Answer = dict[str, Any]


class _Shared:
    """What both clients know: addresses, headers, and what an answer means."""

    def __init__(
        self,
        address: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 60.0,
        retries: Retries | None = None,
        ca: str | Path | None = None,
        cert: tuple[str | Path, str | Path] | None = None,
    ):
        self.timeout, self.retries = timeout, retries or Retries()
        headers = {"X-Request-Timeout": str(max(int(1000 * timeout), 1))}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        verify: Any = True
        if ca is not None or cert is not None:
            verify = ssl.create_default_context(cafile=None if ca is None else str(ca))
            if cert is not None:
                verify.load_cert_chain(*map(str, cert))
        # A little longer than the server's own limit, which then has the word.
        self._options = {
            "base_url": address.rstrip("/"), "headers": headers, "timeout": timeout + 5.0, "verify": verify,
        }  # fmt: skip

    @staticmethod
    def _ask(input: Any, options: Mapping[str, Any], truncate: bool, *, several: bool) -> dict[str, Any]:
        return {"inputs" if several else "input": input, "options": dict(options), "truncate": truncate}

    @staticmethod
    def _error(response: httpx2.Response) -> ServerError:
        try:
            found = response.json()["error"]
            found = found if isinstance(found, dict) else {"message": str(found)}
        except (ValueError, LookupError, TypeError):
            found = {"message": response.text[:500] or response.reason_phrase}
        wait = response.headers.get("retry-after", "")
        return ServerError(
            response.status_code, str(found.get("message")), str(found.get("type", "failed")), found.get("field"),
            found.get("hint"), float(wait) if wait.isdecimal() else 0.0,
        )  # fmt: skip

    @staticmethod
    def _answers(found: Mapping[str, Any]) -> list[Answer | ServerError]:
        return [
            each["answer"] if each["status"] == 200 else ServerError(
                each["status"], *(each["error"][name] for name in ("message", "type", "field", "hint"))
            )
            for each in found["results"]
        ]  # fmt: skip


def _piece(name: str, data: str) -> str | None:
    """The text of an event; None for one that has none.

    Raises:
        ServerError: for an event that says what went wrong.
    """
    found = json.loads(data)
    if name == "error":
        error = found["error"]
        raise ServerError(500, error["message"], error["type"], error["field"], error["hint"])
    return found["text"] if name == "token" else None


class Client(_Shared):
    """Asks a server over HTTP, and waits.

    ``Client(key=...).answer("minilm", "text-encoding", "a text")["vector"]``

    Args:
        address: of the server.
        key: the key, where it asks for one.
        timeout: seconds that an answer may take.
        retries: of requests that are refused because the server is busy or not ready.
        ca: the certificate that signed the server's, where the system does not know it.
        cert: the client's own certificate and its key.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._client = httpx2.Client(**self._options)

    def _send(self, method: str, path: str, body: Any = None, **query: Any) -> httpx2.Response:
        waits = self.retries.waits()
        while True:
            response = self._client.request(method, path, json=body, params=query or None)
            if response.is_success:
                return response
            time.sleep(self.retries.pause(waits, self._error(response)))

    def models(self) -> list[dict[str, Any]]:
        """Returns what is said about each model."""
        return self._send("GET", "/v1/models").json()["data"]

    def answer(self, model: str, task: str, input: Any, *, truncate: bool = False, **options: Any) -> Answer:
        """Returns the answer to one input.

        Raises:
            ServerError: where there is none.
        """
        body = self._ask(input, options, truncate, several=False)
        return self._send("POST", f"/v1/models/{model}/{task}", body).json()["answer"]

    def answers(
        self, model: str, task: str, inputs: Sequence[Any], *, truncate: bool = False, **options: Any
    ) -> list[Answer | ServerError]:
        """Returns for each input its answer, or why there is none.

        Raises:
            ServerError: where the whole request is refused.
        """
        body = self._ask(list(inputs), options, truncate, several=True)
        return self._answers(self._send("POST", f"/v1/models/{model}/{task}", body).json())

    def stream(self, model: str, task: str, input: Any, **options: Any) -> Iterator[str]:
        """Yields a text as it is written.

        Raises:
            ServerError: where it cannot be written, or not to its end; it is not tried again once it has begun.
        """
        body = {"input": input, "options": options, "stream": True}
        reader = Events()
        with self._client.stream("POST", f"/v1/models/{model}/{task}", json=body) as response:
            if not response.is_success:
                response.read()
                raise self._error(response)
            for data in response.iter_bytes():
                for name, value in reader.feed(data):
                    if (piece := _piece(name, value)) is not None:
                        yield piece

    def search(self, collection: str, query: str, **options: Any) -> list[dict[str, Any]]:
        """Returns the passages nearest to a question."""
        body = {"query": query, **options}
        return self._send("POST", f"/v1/collections/{collection}:search", body).json()["passages"]

    def ask(self, collection: str, question: str, **options: Any) -> list[dict[str, Any]]:
        """Returns answers read from the passages of a collection."""
        body = {"question": question, **options}
        return self._send("POST", f"/v1/collections/{collection}:answer", body).json()["answers"]

    def add(self, collection: str, passages: Sequence[Mapping[str, Any]], *, replace: bool = False) -> dict[str, Any]:
        """Adds passages, each with an ``id`` and a ``text``; returns how many were added, and gave way to them."""
        body = {"passages": list(passages), "replace": replace}
        return self._send("POST", f"/v1/collections/{collection}/passages", body).json()

    def remove(self, collection: str, ids: Sequence[str]) -> dict[str, Any]:
        """Removes the passages with these ids; returns how many there were, and how many are left."""
        return self._send("DELETE", f"/v1/collections/{collection}/passages", id=list(ids)).json()

    def ready(self) -> bool:
        """Whether requests should come here."""
        return self._client.get("/health/ready").is_success

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Shared):
    """Asks a server over HTTP, in an event loop; arguments and methods are those of ``Client``."""

    def __init__(self, *arguments: Any, transport: Any = None, **options: Any):
        super().__init__(*arguments, **options)
        more = {} if transport is None else {"transport": transport}
        self._client = httpx2.AsyncClient(**self._options, **more)

    async def _send(self, method: str, path: str, body: Any = None, **query: Any) -> httpx2.Response:
        waits = self.retries.waits()
        while True:
            response = await self._client.request(method, path, json=body, params=query or None)
            if response.is_success:
                return response
            await asyncio.sleep(self.retries.pause(waits, self._error(response)))

    async def models(self) -> list[dict[str, Any]]:
        """Returns what is said about each model."""
        return (await self._send("GET", "/v1/models")).json()["data"]

    async def answer(self, model: str, task: str, input: Any, *, truncate: bool = False, **options: Any) -> Answer:
        """Returns the answer to one input.

        Raises:
            ServerError: where there is none.
        """
        body = self._ask(input, options, truncate, several=False)
        return (await self._send("POST", f"/v1/models/{model}/{task}", body)).json()["answer"]

    async def answers(
        self, model: str, task: str, inputs: Sequence[Any], *, truncate: bool = False, **options: Any
    ) -> list[Answer | ServerError]:
        """Returns for each input its answer, or why there is none.

        Raises:
            ServerError: where the whole request is refused.
        """
        body = self._ask(list(inputs), options, truncate, several=True)
        return self._answers((await self._send("POST", f"/v1/models/{model}/{task}", body)).json())

    async def stream(self, model: str, task: str, input: Any, **options: Any) -> AsyncIterator[str]:
        """Yields a text as it is written.

        Raises:
            ServerError: where it cannot be written, or not to its end; it is not tried again once it has begun.
        """
        body = {"input": input, "options": options, "stream": True}
        reader = Events()
        async with self._client.stream("POST", f"/v1/models/{model}/{task}", json=body) as response:
            if not response.is_success:
                await response.aread()
                raise self._error(response)
            async for data in response.aiter_bytes():
                for name, value in reader.feed(data):
                    if (piece := _piece(name, value)) is not None:
                        yield piece

    async def search(self, collection: str, query: str, **options: Any) -> list[dict[str, Any]]:
        """Returns the passages nearest to a question."""
        body = {"query": query, **options}
        return (await self._send("POST", f"/v1/collections/{collection}:search", body)).json()["passages"]

    async def ask(self, collection: str, question: str, **options: Any) -> list[dict[str, Any]]:
        """Returns answers read from the passages of a collection."""
        body = {"question": question, **options}
        return (await self._send("POST", f"/v1/collections/{collection}:answer", body)).json()["answers"]

    async def add(
        self, collection: str, passages: Sequence[Mapping[str, Any]], *, replace: bool = False
    ) -> dict[str, Any]:
        """Adds passages, each with an ``id`` and a ``text``; returns how many were added, and gave way to them."""
        body = {"passages": list(passages), "replace": replace}
        return (await self._send("POST", f"/v1/collections/{collection}/passages", body)).json()

    async def remove(self, collection: str, ids: Sequence[str]) -> dict[str, Any]:
        """Removes the passages with these ids; returns how many there were, and how many are left."""
        return (await self._send("DELETE", f"/v1/collections/{collection}/passages", id=list(ids))).json()

    async def ready(self) -> bool:
        """Whether requests should come here."""
        return (await self._client.get("/health/ready")).is_success

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
