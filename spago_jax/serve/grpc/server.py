# SPDX-License-Identifier: BSD-2-Clause
"""The gRPC door of a server, in the event loop of the other one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from spago_jax.errors import InputError
from spago_jax.serve.grpc.compat import SERVICES, compat_methods
from spago_jax.serve.grpc.door import Doorkeeper, handler_of
from spago_jax.serve.grpc.native import NAME, native_methods
from spago_jax.serve.http.shared import Shared
from spago_jax.serve.tls import Certificates

_LOOK = 0.2  # seconds between looks at the engine, for the health service


class GrpcDoor:
    """The gRPC door of a server.

    Args:
        shared: what the doors have in common.
        certificates: of the server; None for plain text.
    """

    def __init__(self, shared: Shared, certificates: Certificates | None = None):
        self._shared, self._certificates = shared, certificates
        self._services = [NAME]
        self._server: Any = None
        self._health = _Health(self._say)
        self._watching: asyncio.Task[None] | None = None

    async def start(self, address: str) -> int:
        """Listens, and returns the port.

        Raises:
            InputError: where the address is taken.
        """
        limits = self._shared.engine.limits
        options = (
            ("grpc.max_receive_message_length", limits.body_bytes),
            ("grpc.so_reuseport", 0),
        )
        self._server = grpc.aio.server(interceptors=(Doorkeeper(self._shared),), options=options)
        handlers = [handler_of(self._shared, NAME, native_methods(self._shared))]
        for system in self._shared.config.compat:
            for name, calls in SERVICES[system].items():
                self._services.append(name)
                handlers.append(handler_of(self._shared, name, compat_methods(self._shared, name, calls)))
        self._server.add_generic_rpc_handlers(handlers)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        named = [*self._services, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(named, self._server)
        try:
            if self._certificates is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials(self._certificates))
        except RuntimeError as error:
            raise InputError(f"cannot listen on {address}: {error}; choose another --grpc-port") from None
        await self._server.start()
        await self._say()
        self._watching = asyncio.ensure_future(self._watch())
        return port

    async def drain(self) -> None:
        """Says that calls should go elsewhere; they are still answered."""
        await self._say()

    async def stop(self, grace: float) -> None:
        """Takes no more calls, and gives those that are under way so many seconds."""
        if self._watching is not None:
            self._watching.cancel()
        await self._server.stop(grace)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            await self._say()

    async def _say(self) -> None:
        well = self._shared.engine.reason is None
        kind = health_pb2.HealthCheckResponse.ServingStatus  # type: ignore[attr-defined]
        status = kind.Value("SERVING" if well else "NOT_SERVING")
        for name in ("", *self._services):
            await self._health.set(name, status)


class _Health(health.aio.HealthServicer):  # pyright: ignore[reportAttributeAccessIssue] set at run time
    """Looks at the engine before it answers, and not only every so often for those who watch."""

    def __init__(self, look: Callable[[], Awaitable[None]]):
        super().__init__()
        self._look = look

    async def Check(self, request: Any, context: Any) -> Any:
        """Answers a probe."""
        await self._look()
        return await super().Check(request, context)


def credentials(certificates: Certificates) -> Any:
    """Returns the credentials of a server, which reads its files again when they change."""

    def configured() -> Any:
        key, cert, ca = certificates.pem()
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)

    last = [configured(), certificates.stamp()]

    def fetch() -> Any:
        stamp = certificates.stamp()
        if stamp != last[1]:
            try:
                last[:] = [configured(), stamp]
            except OSError:  # in the middle of a change
                return None
            return last[0]
        return None  # as before

    needed = certificates.config.client_ca is not None
    return grpc.dynamic_ssl_server_credentials(last[0], fetch, require_client_authentication=needed)
