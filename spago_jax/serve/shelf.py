# SPDX-License-Identifier: BSD-2-Clause
"""Shelf: models that are opened when they are asked for, and closed when others need their room."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable

from spago_jax.errors import InputError
from spago_jax.serve.engine import Engine, Served
from spago_jax.serve.engine.problems import Unavailable

log = logging.getLogger("spago_jax.serve")
_PAUSE = 0.05  # seconds between tries while another model is being loaded


@dataclasses.dataclass(frozen=True)
class Lazy:
    """A model that is opened when it is asked for.

    Attributes:
        task: that it does.
        size: bytes of its weights.
    """

    task: str
    size: int


class Shelf:
    """Models that are opened when they are asked for.

    A request never waits for a model: it is told to come back, while the model is opened beside those that answer.
    Where the weights of all models would be more than ``room``, the lazy one that was asked longest ago is closed
    first; one that has requests under way stays.

    Args:
        engine: what the models are put in, and taken out of.
        load: opens a model by its name, and puts it in the engine.
        room: bytes that the weights of all models may take; None for any.
    """

    def __init__(self, engine: Engine, load: Callable[[str], Served], room: int | None = None):
        self.engine, self.room, self._load = engine, room, load
        self.models: dict[str, Lazy] = {}
        self._always: dict[str, int] = {}
        self._opening: dict[str, threading.Thread] = {}
        self._lock, self._one = threading.Lock(), threading.Lock()

    def keep(self, name: str, size: int) -> None:
        """Takes note of a model that is always open."""
        self._always[name] = size

    def add(self, name: str, task: str, size: int) -> None:
        """Takes note of a model that is opened when it is asked for."""
        self.models[name] = Lazy(task, size)

    def check(self) -> None:
        """Checks that every model fits, alone beside those that are always open.

        Raises:
            InputError: for the first one that never could.
        """
        if self.room is None:
            return
        left = self.room - sum(self._always.values())
        if left < 0:
            raise InputError(
                f"limits.memory = {_mb(self.room)}, and the models that are always open have "
                f"{_mb(self.room - left)} of weights: give more, or open some with load: lazy"
            )
        for name, model in self.models.items():
            if model.size > left:
                raise InputError(
                    f"models.{name}: {_mb(model.size)} of weights, and limits.memory = {_mb(self.room)} leaves "
                    f"{_mb(left)} beside the models that are always open"
                )

    def asked(self, name: str) -> None:
        """Begins to open a model that somebody asks for; returns for a name that is not lazy.

        Raises:
            Unavailable: for a lazy one, always.
        """
        if name not in self.models:
            return
        with self._lock:
            if name not in self._opening and name not in self.engine.models:
                thread = threading.Thread(target=self._open, args=(name,), name=f"spago-open-{name}", daemon=True)
                self._opening[name] = thread
                thread.start()
        raise Unavailable(f"the model {name!r} is being opened", retry_after=2)

    def of(self, *tasks: str) -> str | None:
        """Returns the name of the first lazy model that does one of some tasks."""
        return next((name for task in tasks for name, each in self.models.items() if each.task == task), None)

    def _open(self, name: str) -> None:
        try:
            with self._one:
                if not self._make_room(name):
                    log.warning("no room for model %s: the others are busy", name)
                    return
                while self.engine.state in ("starting", "ready"):
                    try:
                        self._load(name)
                        return
                    except Unavailable:  # another model is being loaded
                        time.sleep(_PAUSE)
        except Exception:
            log.exception("model %s cannot be opened", name)
        finally:
            with self._lock:
                del self._opening[name]

    def _make_room(self, name: str) -> bool:
        """Closes idle models until one fits; says whether it does."""
        if self.room is None:
            return True
        wanted = self.models[name].size + sum(self._always.values())
        while True:
            there = [each for each in self.models if each in self.engine.models and each != name]
            if wanted + sum(self.models[each].size for each in there) <= self.room:
                return True
            for each in sorted(there, key=self.engine.last_asked):
                if self.engine.unload(each):
                    log.info("model %s is closed, to make room for %s", each, name)
                    break
            else:
                return False


def _mb(size: int) -> str:
    return f"{size / 2**20:,.0f} MB"
