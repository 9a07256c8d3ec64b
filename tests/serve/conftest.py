"""Apps over fakes, asked in this process without a socket."""

import httpx2
import pytest
from fakes import Letters, Writer, engine

from spago_jax.serve.config import ServeConfig
from spago_jax.serve.http import Shared, make_app


class Door:
    """An app, and a client that asks it."""

    def __init__(self, shared: Shared):
        self.shared, self.engine, self.metrics = shared, shared.engine, shared.metrics
        self.app = make_app(shared)

    def client(self, **options) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://server", **options)


@pytest.fixture
def door():
    """Makes an app over fakes; closes its engine."""
    made = []

    def make(*predictors, config=None, keys=None, collections=None, reload=None, ping=15.0, **limits) -> Door:
        from spago_jax.serve.metrics import Metrics

        metrics = Metrics()
        found = engine(*(predictors or (Letters(), Writer())), meter=metrics, **limits)
        more = {} if reload is None else {"reload": reload}
        shared = Shared(found, ServeConfig(**(config or {})), metrics, keys, dict(collections or {}), ping=ping, **more)
        made.append(found)
        return Door(shared)

    yield make
    for each in made:
        each.close(1)


@pytest.fixture
def anyio_backend():
    return "asyncio"
