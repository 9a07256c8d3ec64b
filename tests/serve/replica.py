"""A server over fakes as a process of its own: python replica.py PORT SECONDS-PER-CALL."""

import asyncio
import sys
import time

from fakes import Letters
from running import Fakes

from spago_jax.serve.config import ServeConfig
from spago_jax.serve.server import Server


class Slow(Letters):
    pause = 0.0

    def _sum(self, batch):
        time.sleep(self.pause)
        return super()._sum(batch)


if __name__ == "__main__":
    Slow.pause = float(sys.argv[2])
    config = ServeConfig(port=int(sys.argv[1]), drain_delay=0.5, drain_timeout=5.0)
    models = {"letters": Slow("text-classification")}
    print("listening", flush=True)
    asyncio.run(Server(config, loader=lambda shared: Fakes(shared, models)).run())
