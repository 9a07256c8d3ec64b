# SPDX-License-Identifier: BSD-2-Clause
"""How much room the folder of a run takes, told and looked for before anything is written."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from spago_jax.core.show import memory
from spago_jax.embeddings.store_index import StoreIndexer
from spago_jax.errors import InputError
from spago_jax.train.task import Task


@dataclass(frozen=True)
class Room:
    """Bytes that a run writes.

    Attributes:
        rows: those of vectors that each embedding keeps among the assets, by its name.
        state: of a whole checkpoint, before it is compressed.
        checkpoints: how many of them are kept.
        stores: the folders of stores that stay where they are, by the names of their embeddings.
    """

    rows: dict[str, int]
    state: int
    checkpoints: int
    stores: dict[str, Path]

    @classmethod
    def of(cls, task: Task, state: Any, checkpoints: int) -> "Room":
        """That of a task with the state of its training."""
        indexers = getattr(task.processor, "indexers", ())
        rows = {each.name: each.kept_bytes for each in indexers if each.kept_bytes}
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(state) if hasattr(leaf, "nbytes"))
        stores = {each.name: each.path for each in indexers if isinstance(each, StoreIndexer)}
        return cls(rows, size, checkpoints, stores)

    @property
    def total(self) -> int:
        """All that the folder holds in the end."""
        return sum(self.rows.values()) + self.state * self.checkpoints

    def refuse_full(self, folder: str | Path) -> None:
        """Refuses a folder on a disk that has less room than the rows and one checkpoint take.

        Raises:
            InputError: with both sizes.
        """
        needed = sum(self.rows.values()) + self.state
        place = Path(folder).absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if needed > free:
            raise InputError(
                f"the run takes {memory(needed)}, and its disk has {memory(free)} free: free some, or choose another "
                "folder",
                path=folder,
            )

    def lines(self) -> list[str]:
        """What is said of a run that keeps rows, or reads those of a store; nothing of others."""
        found = []
        if self.rows:
            kept = ", ".join(f"{name}: rows of n-grams, {memory(size)}" for name, size in self.rows.items())
            found.append(
                f"the run folder takes about {memory(self.total)} ({kept}; checkpoints, {self.checkpoints} of "
                f"{memory(self.state)})"
            )
        for name, path in self.stores.items():
            size = sum(each.stat().st_size for each in path.iterdir() if each.is_file())
            found.append(f"{name}: the store {path}, {memory(size)}, stays where it is; the run folder holds no rows")
        return found
