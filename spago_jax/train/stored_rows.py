# SPDX-License-Identifier: BSD-2-Clause
"""Rows of stores on disk in training: those of a batch go to the device, and come back updated."""

import uuid
from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import numpy as np

from spago_jax.core.devices import Devices
from spago_jax.core.paths import flat, map_named
from spago_jax.embeddings.store.store import Store
from spago_jax.embeddings.store_index import StoreIndexer
from spago_jax.errors import CheckpointError, InputError
from spago_jax.optim.lazy_rows import owner_of
from spago_jax.train.schema import Experiment
from spago_jax.train.state import TrainState
from spago_jax.train.task import Task


class StoredRows:
    """The trainable stores of a task.

    Between calls of the train step, the model and the optimizer hold one row of each store, which is none of its rows:
    checkpoints hold no rows, but the name of a state that each store can come back to.

    Args:
        task: the task.
        indexers: of the stores.
        places: which embedding of the model each is.
        state: the state before the first step.
        devices: the devices.
    """

    def __init__(
        self, task: Task, indexers: Sequence[StoreIndexer], places: Sequence[int], state: TrainState, devices: Devices
    ):
        self.indexers, self.devices = indexers, devices
        self.paths = [f"embeddings.parts.{place}.block" for place in places]
        train = getattr(task.parts.get("train"), "tables", {})
        self._most = [len(np.unique(train[each.name])) if each.name in train else each.size for each in indexers]
        self._empty = {path: np.array(leaf) for path, leaf in flat(state).items() if owner_of(path, self.paths)}
        self._slots = {path: [slot for slot in self._slots_of(path)] for path in self.paths}
        self._stores: list[Store] = []
        self._read: list[tuple[np.ndarray, np.ndarray]] = []
        self.run = ""

    @classmethod
    def of(cls, task: Task, state: TrainState, devices: Devices) -> "StoredRows | None":
        """Those of a task; None where it has none."""
        places, found = stored(task)
        return cls(task, found, places, state, devices) if found else None

    def _slots_of(self, path: str) -> list[str]:
        """The paths of what the optimizer keeps of an array, in the state; each is as large as the array."""
        found = [each for each in self._empty if owner_of(each, [path]) and not each.startswith(("model.", "average."))]
        odd = [each for each in found if self._empty[each].shape != self._empty[f"model.{path}"].shape]
        if odd:
            raise InputError(
                f"optimizer.name: its memory {odd[0]!r} is not one number for each of the array's, which rows of a "
                "store need; take sgd, adam, adamw or adagrad"
            )
        return found

    # -- around a run ----------------------------------------------------------------------------------------------

    def begin(self, about: dict[str, Any] | None) -> None:
        """Opens the stores for writing.

        Args:
            about: what a checkpoint says, which the stores come back to; None for a run that starts.

        Raises:
            InputError: where one is not there, or another process is at work on it.
            CheckpointError: where one cannot come back to the checkpoint.
        """
        named = None if about is None else about.get("stores")
        if about is not None and not named:
            raise CheckpointError("the checkpoint says nothing about the stores of this experiment: it is of another")
        self.run = str(named["run"]) if named else uuid.uuid4().hex[:12]
        try:
            for indexer, path in zip(self.indexers, self.paths, strict=True):
                store = Store.open(indexer.path, write=True)
                self._stores.append(store)
                if named:
                    store.move_to(str(named["state"]))
                else:
                    initial = [float(self._empty[slot].flat[0]) for slot in self._slots[path]]
                    store.start_training(self._slots[path], initial, fresh=True)
        except BaseException:
            self.close()
            raise

    def save(self, step: int) -> dict[str, str]:
        """Makes the rows permanent, as those of a step; returns what a checkpoint has to say."""
        tag = f"{self.run}-{step}"
        for store in self._stores:
            store.commit(tag)
        return {"run": self.run, "state": tag}

    def forget(self, steps: Sequence[int]) -> None:
        """Drops what only states before these steps need."""
        for store in self._stores:
            store.forget([f"{self.run}-{step}" for step in steps])

    def move_to(self, step: int) -> None:
        """Brings the stores to the state of a checkpoint."""
        for store in self._stores:
            store.move_to(f"{self.run}-{step}")

    def close(self) -> None:
        """Undoes what was not saved, and lets go of the stores."""
        for store in self._stores:
            store.close()
        self._stores = []

    # -- around a step ---------------------------------------------------------------------------------------------

    def shaped(self, state: TrainState, arrays: dict[str, np.ndarray]) -> TrainState:
        """The state with room for the rows of a block of batches, for compilation."""
        return self._with(state, {path: self._room(path, arrays) for path in self.paths}, {})

    def gather(
        self, state: TrainState, arrays: dict[str, np.ndarray]
    ) -> tuple[TrainState, dict[str, np.ndarray], list[np.ndarray]]:
        """Puts the rows of a block of batches, each once, into the state.

        Returns:
            The state; the arrays, with places in the rows instead of the stores' own numbers; the numbers of the rows.
        """
        arrays, held, room, values = dict(arrays), [], {}, {}
        self._read = []
        for indexer, path, store in zip(self.indexers, self.paths, self._stores, strict=True):
            numbers = arrays[indexer.name]
            rows = np.unique(numbers[numbers > 0]).astype(np.int64) - 1
            room[path] = self._room(path, arrays)
            places = np.searchsorted(rows, numbers - 1) + 1
            arrays[indexer.name] = np.where(numbers > 0, places, 0).astype(np.int32)
            values[f"model.{path}"] = store.read(rows)
            slots = store.read_slots(rows)
            values |= {slot: slots[:, number] for number, slot in enumerate(self._slots[path])}
            held.append(rows)
            self._read.append((values[f"model.{path}"], slots))
        return self._with(state, room, values), arrays, held

    def scatter(self, state: TrainState, held: Sequence[np.ndarray]) -> TrainState:
        """Takes the rows out of the state, and writes them to the stores."""
        leaves = flat(state)
        for path, store, rows, read in zip(self.paths, self._stores, held, self._read, strict=True):
            wanted = [f"model.{path}", *self._slots[path]]
            values, *slots = jax.device_get([leaves[each] for each in wanted])
            kept = [np.asarray(slot[: len(rows)], np.float32) for slot in slots]
            store.write(rows, values[: len(rows)], np.stack(kept, axis=1) if kept else None, before=read)
        empty = self.devices.replicate(self._empty)
        return map_named(lambda path, leaf: empty.get(path, leaf), state)

    def _room(self, path: str, arrays: dict[str, np.ndarray]) -> int:
        number = self.paths.index(path)
        return max(min(prod(arrays[self.indexers[number].name].shape), self._most[number]), 1)

    def _with(self, state: TrainState, room: dict[str, int], values: dict[str, np.ndarray]) -> TrainState:
        new = {}
        for path, empty in self._empty.items():
            owner = owner_of(path, self.paths)
            assert owner is not None
            new[path] = np.zeros((room[owner], empty.shape[1]), empty.dtype)
            if path in values:
                new[path][: len(values[path])] = values[path]
        placed = self.devices.replicate(new)
        return map_named(lambda path, leaf: placed.get(path, leaf), state)


def stored(task: Task) -> tuple[list[int], list[StoreIndexer]]:
    """The embeddings of a task whose rows lie in a store and are trained: their places and their host halves."""
    indexers = getattr(task.processor, "indexers", ())
    found = [(n, each) for n, each in enumerate(indexers) if isinstance(each, StoreIndexer) and each.trainable]
    return [n for n, _ in found], [each for _, each in found]


def refuse_unsuited(experiment: Experiment) -> None:
    """Refuses settings that would need all rows of a store at once.

    Raises:
        InputError: for accumulated gradients, averaged weights, or one store in two embeddings.
    """
    if experiment.optimizer.accumulate > 1:
        raise InputError("optimizer.accumulate adds up gradients over batches, whose rows of a store differ; take 1")
    if experiment.train.average is not None:
        raise InputError("train.average keeps a second copy of the model, which a store has no room for; leave it out")
    paths = [str(each.store) for each in experiment.model.embeddings if getattr(each, "store", None)]
    if len(set(paths)) < len(paths):
        raise InputError(f"model.embeddings: two embeddings train the store {paths[0]!r}; copy it, or take one")
