# SPDX-License-Identifier: BSD-2-Clause
"""Words of a store on disk: their vectors are read for each batch."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.lookup import RULES
from spago_jax.embeddings.saved_settings import settings_of, write_settings
from spago_jax.embeddings.store.store import Store

_numbers: ContextVar[bool] = ContextVar("row_numbers", default=False)


@contextmanager
def row_numbers() -> Iterator[None]:
    """Within the block, batches hold the numbers of rows, from 1 on (0: none), instead of their vectors: training
    brings each row of a batch to the device once."""
    token = _numbers.set(True)
    try:
        yield
    finally:
        _numbers.reset(token)


class StoreIndexer(TokenIndexer):
    """The vectors of words as a store has them when a batch is made; zeros for words that it does not have.

    Args:
        name: of its array in a batch.
        path: the store, which stays where it is.
        rule: how words are looked up, see ``lookup.variants``.
        trainable: whether training changes the rows.
    """

    kind: ClassVar[str] = "stored-words"

    def __init__(self, name: str, path: Path, rule: str, trainable: bool):
        self.name, self.path, self.rule, self.trainable = name, path, rule, trainable
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The store, opened for reading once.

        Raises:
            InputError: where it is missing or damaged.
        """
        if self._store is None:
            self._store = Store.open(self.path)
        return self._store

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The row of each form, from 1 on, int32 [forms + 1]; 0 for a form that the store does not have."""
        forms = list(lexicon)
        rows = self.store.find(forms, self.rule) if forms else np.zeros(0, np.int64)
        return {self.name: np.append(rows + 1, 0).astype(np.int32)}

    def arrays(self, tables: Mapping[str, np.ndarray], forms: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """The vectors of a batch, read now; the numbers of the rows within ``row_numbers``."""
        rows = tables[self.name][forms]
        return {self.name: rows if _numbers.get() else self.store.read(rows.astype(np.int64) - 1)}

    def specs(self) -> dict[str, str]:
        """One vector per token."""
        return {self.name: f"f32[batch, time, {self.store.dimensions}]"}

    @property
    def size(self) -> int:
        """The number of words of the store."""
        return len(self.store)

    def save(self, folder: Path) -> None:
        """Writes where the store is; it is not copied."""
        settings = {"store": str(self.path.resolve()), "rule": self.rule, "trainable": self.trainable}
        write_settings(folder / f"{self.name}.store.json", settings)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        with settings_of(folder / f"{name}.store.json") as found:
            store, rule, trainable = str(found["store"]), str(found["rule"]), bool(found["trainable"])
            if rule not in RULES:
                raise ValueError(f"the rule {rule!r}")
        return cls(name, Path(store), rule, trainable)
