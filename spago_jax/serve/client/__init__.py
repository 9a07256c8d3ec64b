# SPDX-License-Identifier: BSD-2-Clause
"""Clients: one over HTTP and one over gRPC, each waiting or in an event loop, all with the same methods."""

from typing import TYPE_CHECKING

from spago_jax.core.lazy_names import lazy_names
from spago_jax.serve.client.retries import Retries, ServerError

if TYPE_CHECKING:
    from spago_jax.serve.client.grpc import AsyncGrpcClient, GrpcClient
    from spago_jax.serve.client.http import AsyncClient, Client

_HTTP, _GRPC = "spago_jax.serve.client.http", "spago_jax.serve.client.grpc"
__getattr__, __dir__ = lazy_names(
    __name__, {"AsyncClient": _HTTP, "Client": _HTTP, "AsyncGrpcClient": _GRPC, "GrpcClient": _GRPC}
)

__all__ = ["AsyncClient", "AsyncGrpcClient", "Client", "GrpcClient", "Retries", "ServerError"]
