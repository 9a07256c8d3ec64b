# SPDX-License-Identifier: BSD-2-Clause
"""Clients over gRPC: one that waits, and one for an event loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import grpc

from spago_jax.serve.client.retries import Retries, ServerError
from spago_jax.serve.grpc.messages import fields_of, message, plain_of, service, struct_of, value_of

NATIVE = "spago.v1.Spago"
_Code = grpc.StatusCode
STATUS = {
    _Code.INVALID_ARGUMENT: 422, _Code.UNAUTHENTICATED: 401, _Code.PERMISSION_DENIED: 403, _Code.NOT_FOUND: 404,
    _Code.RESOURCE_EXHAUSTED: 429, _Code.CANCELLED: 499, _Code.UNAVAILABLE: 503, _Code.DEADLINE_EXCEEDED: 504,
}  # fmt: skip


class _Shared:
    """What both clients know: credentials, messages, and what an answer means."""

    def __init__(
        self,
        address: str = "127.0.0.1:8001",
        *,
        key: str | None = None,
        timeout: float = 60.0,
        retries: Retries | None = None,
        ca: str | Path | None = None,
        cert: tuple[str | Path, str | Path] | None = None,
        tls: bool | None = None,
    ):
        self.address, self.timeout, self.retries = address, timeout, retries or Retries()
        self._metadata = () if key is None else (("authorization", f"Bearer {key}"),)
        self._credentials = None
        if tls or (tls is None and (ca is not None or cert is not None)):
            chain, private = (None, None) if cert is None else (Path(cert[0]).read_bytes(), Path(cert[1]).read_bytes())
            root = None if ca is None else Path(ca).read_bytes()
            self._credentials = grpc.ssl_channel_credentials(root, private, chain)

    @staticmethod
    def _codec(name: str, method: str) -> dict[str, Any]:
        found = service(name).FindMethodByName(method)
        return {
            "request_serializer": message(found.input_type.full_name).SerializeToString,
            "response_deserializer": message(found.output_type.full_name).FromString,
        }

    @staticmethod
    def _error(error: Any) -> ServerError:
        said = dict(error.trailing_metadata() or ())
        status = STATUS.get(error.code(), 500)
        return ServerError(
            status, error.details() or error.code().name, said.get("spago-error", "failed"), said.get("spago-field"),
            said.get("spago-hint"), float(said.get("retry-after", 0)),
        )  # fmt: skip

    @staticmethod
    def _answer_request(model: str, inputs: Sequence[Any], truncate: bool, options: dict[str, Any]) -> Any:
        return message(f"{NATIVE.rpartition('.')[0]}.AnswerRequest")(
            model=model, inputs=[value_of(each) for each in inputs], options=struct_of(options), truncate=truncate
        )

    @staticmethod
    def _results(reply: Any) -> list[dict[str, Any] | ServerError]:
        return [
            plain_of(each.answer) if each.status == 200 else _problem(each.status, each.problem)
            for each in reply.results
        ]

    @staticmethod
    def _generate_request(model: str, input: Any, options: dict[str, Any]) -> Any:
        made = message("spago.v1.GenerateRequest")
        return made(model=model, input=value_of(input), options=struct_of(options))

    @staticmethod
    def _search_request(collection: str, query: str, options: dict[str, Any]) -> Any:
        return message("spago.v1.SearchRequest")(collection=collection, query=query, **options)


def _problem(status: int, found: Any) -> ServerError:
    return ServerError(status, found.message, found.type, found.field or None, found.hint or None)


def _only(results: list[Any]) -> dict[str, Any]:
    (found,) = results
    if isinstance(found, ServerError):
        raise found
    return found


class GrpcClient(_Shared):
    """Asks a server over gRPC, and waits; methods and errors are those of the client over HTTP.

    Args:
        address: host and port.
        key: the key, where the server asks for one.
        timeout: seconds that an answer may take, which the server knows of.
        retries: of calls that are refused because the server is busy or not ready.
        ca: the certificate that signed the server's, where the system does not know it.
        cert: the client's own certificate and its key.
        tls: whether to use TLS; by default where a certificate is given.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._channel = (
            grpc.insecure_channel(self.address)
            if self._credentials is None
            else grpc.secure_channel(self.address, self._credentials)
        )

    def call(self, name: str, method: str, request: Any) -> Any:
        """Calls one method of a service, such as ``bert.grpcapi.BERT`` and ``Answer``, and returns its message.

        Raises:
            ServerError: where the server refuses.
        """
        function = self._channel.unary_unary(f"/{name}/{method}", **self._codec(name, method))
        waits = self.retries.waits()
        while True:
            try:
                return function(request, timeout=self.timeout, metadata=self._metadata)
            except grpc.RpcError as failure:
                time.sleep(self.retries.pause(waits, self._error(failure)))

    def models(self) -> list[dict[str, Any]]:
        """Returns what is said about each model."""
        reply = self.call(NATIVE, "ListModels", message("spago.v1.ListModelsRequest")())
        return [fields_of(each) for each in reply.models]

    def answer(self, model: str, task: str, input: Any, *, truncate: bool = False, **options: Any) -> dict[str, Any]:
        """Returns the answer to one input; ``task`` is there for both clients to be alike."""
        return _only(self.answers(model, task, [input], truncate=truncate, **options))

    def answers(
        self, model: str, task: str, inputs: Sequence[Any], *, truncate: bool = False, **options: Any
    ) -> list[dict[str, Any] | ServerError]:
        """Returns for each input its answer, or why there is none."""
        request = self._answer_request(model, inputs, truncate, options)
        return self._results(self.call(NATIVE, "Answer", request))

    def stream(self, model: str, task: str, input: Any, **options: Any) -> Iterator[str]:
        """Yields a text as it is written."""
        function = self._channel.unary_stream(f"/{NATIVE}/Generate", **self._codec(NATIVE, "Generate"))
        call = function(self._generate_request(model, input, options), timeout=self.timeout, metadata=self._metadata)
        try:
            for reply in call:
                yield reply.text
        except grpc.RpcError as failure:
            raise self._error(failure) from None
        finally:
            call.cancel()

    def search(self, collection: str, query: str, **options: Any) -> list[dict[str, Any]]:
        """Returns the passages nearest to a question."""
        reply = self.call(NATIVE, "Search", self._search_request(collection, query, options))
        return [_hit(each) for each in reply.hits]

    def close(self) -> None:
        """Closes its connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncGrpcClient(_Shared):
    """Asks a server over gRPC, in an event loop; arguments and methods are those of ``GrpcClient``."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._channel = (
            grpc.aio.insecure_channel(self.address)
            if self._credentials is None
            else grpc.aio.secure_channel(self.address, self._credentials)
        )

    async def call(self, name: str, method: str, request: Any) -> Any:
        """Calls one method of a service, and returns its message.

        Raises:
            ServerError: where the server refuses.
        """
        function = self._channel.unary_unary(f"/{name}/{method}", **self._codec(name, method))
        waits = self.retries.waits()
        while True:
            try:
                return await function(request, timeout=self.timeout, metadata=self._metadata)
            except grpc.RpcError as failure:
                await asyncio.sleep(self.retries.pause(waits, self._error(failure)))

    async def models(self) -> list[dict[str, Any]]:
        """Returns what is said about each model."""
        reply = await self.call(NATIVE, "ListModels", message("spago.v1.ListModelsRequest")())
        return [fields_of(each) for each in reply.models]

    async def answer(
        self, model: str, task: str, input: Any, *, truncate: bool = False, **options: Any
    ) -> dict[str, Any]:
        """Returns the answer to one input; ``task`` is there for both clients to be alike."""
        return _only(await self.answers(model, task, [input], truncate=truncate, **options))

    async def answers(
        self, model: str, task: str, inputs: Sequence[Any], *, truncate: bool = False, **options: Any
    ) -> list[dict[str, Any] | ServerError]:
        """Returns for each input its answer, or why there is none."""
        request = self._answer_request(model, inputs, truncate, options)
        return self._results(await self.call(NATIVE, "Answer", request))

    async def stream(self, model: str, task: str, input: Any, **options: Any) -> AsyncIterator[str]:
        """Yields a text as it is written."""
        function = self._channel.unary_stream(f"/{NATIVE}/Generate", **self._codec(NATIVE, "Generate"))
        call = function(self._generate_request(model, input, options), timeout=self.timeout, metadata=self._metadata)
        try:
            async for reply in call:
                yield reply.text
        except grpc.RpcError as failure:
            raise self._error(failure) from None
        finally:
            call.cancel()

    async def search(self, collection: str, query: str, **options: Any) -> list[dict[str, Any]]:
        """Returns the passages nearest to a question."""
        reply = await self.call(NATIVE, "Search", self._search_request(collection, query, options))
        return [_hit(each) for each in reply.hits]

    async def close(self) -> None:
        """Closes its connection."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _hit(found: Any) -> dict[str, Any]:
    plain = {name: getattr(found, name) for name in ("id", "score", "title", "text")}
    return {**plain, "metadata": dict(found.metadata)}
