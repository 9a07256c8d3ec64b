# SPDX-License-Identifier: BSD-2-Clause
"""Shared: what the doors of one server have in common."""

import dataclasses
from collections.abc import Callable, Mapping

from spago_jax.errors import did_you_mean
from spago_jax.serve.collections import Collection
from spago_jax.serve.config import ServeConfig
from spago_jax.serve.engine import Engine, Served
from spago_jax.serve.engine.problems import Conflict, Unknown
from spago_jax.serve.keys import Keys
from spago_jax.serve.metrics import Metrics


def _cannot_reload(name: str) -> Served:
    raise Conflict("this server was not told how its models are opened")


@dataclasses.dataclass
class Shared:
    """What the doors of one server have in common.

    Attributes:
        engine: what answers.
        config: of the server.
        metrics: what is counted.
        keys: who may ask; None for everybody.
        collections: passages, by name.
        reload: opens a model again and swaps it in.
        ping: seconds after which a stream without news shows that it lives.
    """

    engine: Engine
    config: ServeConfig = dataclasses.field(default_factory=ServeConfig)
    metrics: Metrics = dataclasses.field(default_factory=Metrics)
    keys: Keys | None = None
    collections: Mapping[str, Collection] = dataclasses.field(default_factory=dict)
    reload: Callable[[str], Served] = _cannot_reload
    ping: float = 15.0

    def collection(self, name: str) -> Collection:
        """Returns a collection.

        Raises:
            Unknown: for another name.
        """
        found = self.collections.get(name)
        if found is None:
            hint = did_you_mean(name, self.collections) if self.collections else "the server has none"
            raise Unknown(f"no collection {name!r}", field="collection", hint=hint)
        return found
