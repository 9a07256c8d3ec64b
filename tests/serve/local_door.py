"""An app that is asked in this process."""

import httpx2

from spago_jax.serve.http import Shared, make_app


class Door:
    """An app, and a client that asks it."""

    def __init__(self, shared: Shared):
        self.shared, self.engine, self.metrics = shared, shared.engine, shared.metrics
        self.app = make_app(shared)

    def client(self, **options) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://server", **options)
