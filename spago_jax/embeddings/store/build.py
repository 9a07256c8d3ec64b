# SPDX-License-Identifier: BSD-2-Clause
"""Makes stores: from keys and vectors, or as the sink of a reader of word vectors; nothing is held in memory."""

import errno
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spago_jax.core.disk import new_folder, refuse_taken
from spago_jax.embeddings.store.keys import KINDS, Key, as_key, hashes_of
from spago_jax.embeddings.store.manifest import NAME, Manifest
from spago_jax.errors import InputError, did_you_mean

_BLOCK = 1 << 16  # keys that are hashed at a time


class StoreWriter:
    """Takes keys and vectors one by one; see ``new_store``."""

    def __init__(self, folder: Path, dimensions: int, kind: str, stack: ExitStack):
        self.folder, self.kind = folder, kind
        self.manifest = Manifest(dimensions=dimensions, keys=kind)
        self._keys, self._rows = (stack.enter_context((folder / n).open("wb")) for n in ("keys.bin", "rows.bin"))
        self._offsets: BinaryIO = stack.enter_context((folder / "offsets.bin").open("wb"))
        self._offsets.write(bytes(8))
        self._hashes: list[np.ndarray] = []
        self._waiting: list[bytes] = []
        self._known: set[int] = set()

    def held(self, key: bytes) -> bool:
        """Whether a key was added before."""
        return int(hashes_of([key])[0]) in self._known

    def add(self, key: bytes, vector: np.ndarray) -> None:
        """Adds a new key with its vector."""
        held = self.manifest
        self._keys.write(key)
        self._rows.write(np.asarray(vector, "<f4").tobytes())
        held.key_bytes += len(key)
        held.count += 1
        self._offsets.write(held.key_bytes.to_bytes(8, "little"))
        self._known.add(int(hashes_of([key])[0]))
        self._waiting.append(key)
        if len(self._waiting) >= _BLOCK:
            self._hash()

    def _hash(self) -> None:
        self._hashes.append(hashes_of(self._waiting))
        self._waiting = []

    def finish(self, about: dict[str, Any]) -> None:
        """Writes the index, and the manifest at last."""
        self._hash()
        hashes = np.concatenate(self._hashes)
        order = np.argsort(hashes, kind="stable").astype("<u4")
        (self.folder / "hashes-0.bin").write_bytes(hashes[order].astype("<u8").tobytes())
        (self.folder / "order-0.bin").write_bytes(order.tobytes())
        for file in (self._keys, self._rows, self._offsets):
            file.flush()
            os.fsync(file.fileno())
        self.manifest.about = about
        self.manifest.save(self.folder)


@contextmanager
def new_store(
    path: str | Path,
    dimensions: int,
    *,
    keys: str = "words",
    overwrite: bool = False,
    about: dict[str, Any] | None = None,
) -> Iterator[StoreWriter]:
    """Makes a store, whole or not at all; yields what takes its keys and vectors.

    Args:
        path: the folder to make.
        dimensions: the length of a vector.
        keys: the kind of the keys: ``words``, ``bytes`` or ``integers``.
        overwrite: whether a store that is there is replaced.
        about: what is said of it in ``store.json``.

    Raises:
        InputError: where something else is there, or the disk is full.
    """
    if keys not in KINDS:
        raise InputError(f"keys of the kind {keys!r} are unknown: {did_you_mean(keys, KINDS)}")
    path = Path(path)
    refuse_taken(path, "a store of vectors", NAME, overwrite=overwrite)
    try:
        with new_folder(path, replace=overwrite) as folder, ExitStack() as stack:
            writer = StoreWriter(folder, dimensions, keys, stack)
            yield writer
            writer.finish(about or {})
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InputError("cannot be written: no space left on the disk", path=path) from None
        raise InputError(f"cannot be written: {error.strerror or error}", path=path) from None


def make_store(
    path: str | Path,
    keys: Iterable[Key],
    vectors: np.ndarray | Collection[np.ndarray],
    *,
    kind: str = "words",
    overwrite: bool = False,
) -> None:
    """Makes a store of keys, all different, and their vectors [n, dimensions].

    Raises:
        InputError: for a key that comes twice, a value that is not finite, or a place that cannot be written.

    >>> import tempfile
    >>> from spago_jax.embeddings.store.store import Store
    >>> folder = Path(tempfile.mkdtemp(), "store")
    >>> make_store(folder, ["the", "cat"], np.array([[1, 2], [3, 4.0]]))
    >>> with Store.open(folder) as store:
    ...     print(store["cat"], "dog" in store, store.find(["Cat", "the"], "lower"))
    [3. 4.] False [1 0]
    """
    rows = np.asarray(vectors, np.float32)
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise InputError(f"vectors of shape {rows.shape}, expected finite numbers [n, dimensions]")
    with new_store(path, rows.shape[1], keys=kind, overwrite=overwrite) as writer:
        for key, vector in zip(keys, rows, strict=True):
            name = as_key(key, kind)
            if writer.held(name):
                raise InputError(f"the key {key!r} comes twice")
            writer.add(name, vector)
