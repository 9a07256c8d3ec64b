# SPDX-License-Identifier: BSD-2-Clause
"""Runs a server: opens its doors, loads its models, and drains when it is told to stop."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from spago_jax.errors import InputError
from spago_jax.serve.config import ServeConfig, check_safe
from spago_jax.serve.engine import Engine
from spago_jax.serve.http.app import make_app
from spago_jax.serve.http.gate import JsonLines
from spago_jax.serve.http.shared import Shared
from spago_jax.serve.keys import Keys
from spago_jax.serve.loading import Loader
from spago_jax.serve.metrics import Metrics
from spago_jax.serve.tls import Certificates

log = logging.getLogger("spago_jax.serve")
_POLL = 1.0  # seconds between looks at the certificates


class _Uvicorn(uvicorn.Server):
    """uvicorn without its own answer to signals: what drains is this module's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Server:
    """A server with its doors.

    Args:
        config: what is served, and where.
        loader: opens the models, given what the doors share; by the config unless a test says otherwise.
        said: is told in words how far it has got.

    Attributes:
        shared: what the doors have in common.
        port: of HTTP, once it listens.
        grpc_port: of gRPC, once it listens; None without.
    """

    def __init__(
        self,
        config: ServeConfig,
        loader: Callable[[Shared], Loader] | None = None,
        said: Callable[[str], object] = lambda _: None,
    ):
        check_safe(config)
        self.config, self._said = config, said
        metrics = Metrics()
        self._certificates = None if config.tls is None else Certificates(config.tls)
        self.shared = Shared(
            Engine(config.limits, meter=metrics),
            config,
            metrics,
            None if config.keys is None else Keys(config.keys),
            {},
        )
        make = loader or (lambda shared: Loader(config, shared.engine, shared.collections))  # type: ignore[arg-type]
        self._loader = make(self.shared)
        self.shared.reload = self._loader.load
        self.port = self.grpc_port = None
        self._fault: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._hurry: asyncio.Event | None = None

    async def run(self, *, signals: bool = True) -> None:
        """Serves until it is told to stop.

        Raises:
            InputError: where an address is taken, or a model cannot be opened.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._stopping, self._hurry = asyncio.Event(), asyncio.Event()
        listener = _listen(self.config.host, self.config.port)
        self.port = listener.getsockname()[1]
        server = _Uvicorn(self._uvicorn())
        grpc = None
        if self.config.grpc_port is not None:
            from spago_jax.serve.grpc.server import GrpcDoor

            grpc = GrpcDoor(self.shared, self._certificates)
            self.grpc_port = await grpc.start(f"{self.config.host}:{self.config.grpc_port}")
        if signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._signalled, number)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        loading = threading.Thread(target=self._load, name="spago-load", daemon=True)
        loading.start()
        watching = asyncio.ensure_future(self._watch(server))
        try:
            told = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
            if self._fault is None:
                await self._drain(grpc)
            server.should_exit = True
            grace = 0.0 if self._hurry.is_set() or self._fault else self.config.drain_timeout
            doors: list[Any] = [serving] if grpc is None else [serving, asyncio.ensure_future(grpc.stop(grace))]
            hurried = asyncio.ensure_future(self._hurry.wait())
            finished = asyncio.gather(*doors)
            await asyncio.wait({finished, hurried}, return_when=asyncio.FIRST_COMPLETED)
            server.force_exit = True
            await finished
            hurried.cancel()
        finally:
            watching.cancel()
            await asyncio.to_thread(self.shared.engine.close, 1.0)
            listener.close()
            if signals:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.remove_signal_handler(number)
        if self._fault is not None:
            raise self._fault
        await asyncio.to_thread(loading.join, 5.0)

    def stop(self) -> None:
        """Tells it to stop, in its own event loop."""
        if self._stopping is not None:
            self._stopping.set()

    def _signalled(self, number: int) -> None:
        assert self._stopping is not None
        assert self._hurry is not None
        if self._stopping.is_set() or number == signal.SIGINT:  # Ctrl-C does not wait for a balancer to look elsewhere
            self._hurry.set()
        self._stopping.set()

    async def _drain(self, grpc: Any) -> None:
        assert self._hurry is not None
        self.shared.engine.drain()
        if grpc is not None:
            await grpc.drain()
        log.info("stopping: nothing more is accepted in %g s", self.config.drain_delay)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self.config.drain_delay)

    def _load(self) -> None:
        try:
            self._loader.run(self._said)
        except BaseException as error:
            if self.shared.engine.state in ("draining", "closed"):
                return
            self._fault = error
            self.shared.engine.fault = str(error)
            assert self._loop is not None
            assert self._stopping is not None
            self._loop.call_soon_threadsafe(self._stopping.set)

    def _uvicorn(self) -> uvicorn.Config:
        config = self.config
        found = uvicorn.Config(
            make_app(self.shared),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_keep_alive=config.keep_alive,
            timeout_graceful_shutdown=max(int(config.drain_timeout), 1),
        )
        if self._certificates is not None:
            found.load()
            found.ssl = self._certificates.context
        return found

    async def _watch(self, server: uvicorn.Server) -> None:
        while self._certificates is not None:
            await asyncio.sleep(_POLL)
            self._certificates.refresh()


def _listen(host: str, port: int) -> socket.socket:
    """Returns a bound socket.

    Raises:
        InputError: where the address is taken, or is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
        made.listen(2048)  # who comes before the first model is opened waits, rather than being refused
    except OSError as error:
        made.close()
        why = os.strerror(error.errno or 0)
        raise InputError(f"cannot listen on {host}:{port}: {why}; choose another --port") from None
    return made


def log_as_json(level: str) -> None:
    """Sends the log lines of serving to standard error, a line of JSON each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("spago_jax.serve", "spago_jax.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper() if name != "uvicorn.error" else "WARNING")
