# SPDX-License-Identifier: BSD-2-Clause
"""Vectors on disk: rows are read and written by their keys, and a crash leaves no half of a change."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from spago_jax.core.lock import holder, locked
from spago_jax.embeddings.lookup import variants
from spago_jax.embeddings.store.keys import Key, KeyIndex, as_key, from_key, hashes_of, mapped
from spago_jax.embeddings.store.log import RowLog, in_pieces
from spago_jax.embeddings.store.manifest import NAME, Manifest
from spago_jax.embeddings.store.table import Table, reserve
from spago_jax.errors import InputError

_SPARE = "spare.bin"  # the file of a log that is over: the next one takes it


class Store:
    """Rows of numbers under keys, in files of which the rows that are asked for are read; open one with ``Store.open``.

    A change is written to a log before it is made. ``commit`` makes all changes since the last one permanent; those
    that a process did not commit when it ended, however it ended, are undone when the store is opened again. A commit
    with a tag is a state that ``move_to`` comes back to: training tags its checkpoints.

    Attributes:
        path: the folder.
        writable: whether this process may change it; one process at a time may.
    """

    def __init__(self, path: Path, manifest: Manifest, stack: ExitStack, *, writable: bool, durable: bool = False):
        self.path, self.writable, self._stack, self._durable = path, writable, stack, durable
        self._manifest = manifest
        self._tables: list[Table] = []
        self._map()
        if writable:
            self._recover()

    @classmethod
    def open(cls, path: str | Path, *, write: bool = False, durable: bool = False) -> Self:
        """Opens a store.

        Args:
            path: its folder.
            write: whether it is changed; else it is only read, also while another process changes it.
            durable: wait for the disk at every change, so that also a loss of power undoes whole changes only.

        Raises:
            InputError: where it is missing, damaged, not writable, or another process is at work on it.
        """
        path = Path(path)
        Manifest.load(path)
        with ExitStack() as stack:
            if write:
                if not os.access(path, os.W_OK) or not os.access(path / NAME, os.W_OK):
                    raise InputError("the store is read-only; open it for reading, or copy it", path=path)
                stack.enter_context(locked(path, "store"))
            elif _unfinished(path) and holder(path) is None:
                cls._repair(path)
            return cls(path, Manifest.load(path), stack.pop_all(), writable=write, durable=durable)

    @classmethod
    def _repair(cls, path: Path) -> None:
        """Undoes what a process that ended did not commit.

        Raises:
            InputError: where the folder cannot be written.
        """
        if not os.access(path, os.W_OK):
            raise InputError(
                "a process ended while it changed the store, and the folder is read-only; open it once where it can be "
                "written",
                path=path,
            )
        cls.open(path, write=True).close()

    def _map(self) -> None:
        held, path = self._manifest, self.path
        count = held.count
        self._index = KeyIndex(
            mapped(path / "keys.bin", "u1", held.key_bytes),
            mapped(path / "offsets.bin", "<u8", count + 1),
            mapped(path / f"hashes-{held.index}.bin", "<u8", count),
            mapped(path / f"order-{held.index}.bin", "<u4", count),
        )
        for table in self._tables:
            table.close()
        self._tables = [Table(path / "rows.bin", count, held.dimensions, write=self.writable)]
        if held.slots:
            width = held.dimensions * len(held.slots)
            self._tables.append(Table(path / "slots.bin", count, width, write=self.writable))
        self._touched = np.zeros(count if self.writable else 0, bool)
        self._log = self._new_log(held.log)

    # -- reading ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._manifest.count

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self):,} {self.kind}, {self.dimensions} dimensions)"

    def __contains__(self, key: Key) -> bool:
        return bool(self.find([key])[0] >= 0)

    def __getitem__(self, key: Key) -> np.ndarray:
        row = int(self.find([key])[0])
        if row < 0:
            raise KeyError(f"no vector for {key!r}")
        return self.read(np.array([row]))[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None and self.writable:
            self.commit()
        self.close()

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self._manifest.dimensions

    @property
    def kind(self) -> str:
        """The kind of the keys: ``words``, ``bytes`` or ``integers``."""
        return self._manifest.keys

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of what an optimizer keeps of each number."""
        return tuple(self._manifest.slots)

    @property
    def tags(self) -> tuple[str, ...]:
        """The states that ``move_to`` can come to."""
        return tuple(self._manifest.tags)

    @property
    def about(self) -> dict[str, Any]:
        """What its maker said of it."""
        return self._manifest.about

    def keys(self) -> Iterator[Key]:
        """The keys, by row."""
        return (from_key(key, self.kind) for key in self._index)

    def key(self, row: int) -> Key:
        """The key of a row."""
        return from_key(self._index.key(row), self.kind)

    def find(self, keys: Sequence[Key], rule: str = "exact") -> np.ndarray:
        """The row of each key, int64, or -1; of words by a rule, see ``lookup.variants``."""
        found = self._index.find([as_key(key, self.kind) for key in keys])
        if rule == "exact" or self.kind != "words":
            return found
        others = [
            (n, form) for n in np.flatnonzero(found < 0).tolist() for form in list(variants(str(keys[n]), rule))[1:]
        ]
        rows = self._index.find([as_key(form, self.kind) for _, form in others])
        for (number, _), row in zip(others, rows.tolist(), strict=True):
            if found[number] < 0:
                found[number] = row
        return found

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The vectors of rows [...], float32 [..., dimensions]; zeros for -1."""
        return self._gathered(self._tables[0], rows)

    def read_slots(self, rows: np.ndarray) -> np.ndarray:
        """What the optimizer keeps of rows [n], float32 [n, slots, dimensions]."""
        if not self.slots:
            return np.zeros((len(rows), 0, self.dimensions), np.float32)
        return self._gathered(self._tables[1], rows).reshape(len(rows), -1, self.dimensions)

    def blocks(self, size: int = 1 << 14) -> Iterator[tuple[int, np.ndarray]]:
        """All vectors in blocks, each with the number of its first row."""
        for start in range(0, len(self), size):
            yield start, self._tables[0].gather(np.arange(start, min(start + size, len(self))))

    def _gathered(self, table: Table, rows: np.ndarray) -> np.ndarray:
        if not len(self):
            return np.zeros((*rows.shape, table.columns), np.float32)
        wanted = np.asarray(rows, np.int64).reshape(-1)
        found = table.gather(np.maximum(wanted, 0))
        found[wanted < 0] = 0
        return found.reshape(*rows.shape, table.columns)

    # -- changing --------------------------------------------------------------------------------------------------

    def write(
        self,
        rows: np.ndarray,
        values: np.ndarray,
        slots: np.ndarray | None = None,
        *,
        before: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Changes rows, all different: their values [n, dimensions], and their slots [n, slots, dimensions].

        Args:
            rows: their numbers.
            values: the new values.
            slots: the new slots; None leaves those that are there.
            before: what ``read`` and ``read_slots`` gave of the same rows, if nothing was written since; None reads
                them again, for they are what a change is undone with.

        Raises:
            InputError: when the disk is full, or the store is open for reading only; nothing has then changed.
        """
        self._refuse_reading()
        rows = np.asarray(rows, np.int64)
        fresh = ~self._touched[rows]
        new, held = rows[fresh], None
        if before is not None:
            held = [each.reshape(len(rows), -1)[fresh] for each in before[: len(self._tables)]]
        try:
            for piece in in_pieces(len(new)):
                old = self._content(new[piece]) if held is None else [each[piece] for each in held]
                self._log.append(new[piece], old, durable=self._durable)
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror or error}; the change was not made", path=self._log.path
            ) from None
        self._touched[new] = True
        try:
            self._apply(rows, [values] if slots is None else [values, slots.reshape(len(rows), -1)])
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror or error}; close the store, which undoes what was not committed",
                path=self.path,
            ) from None

    def put(self, keys: Sequence[Key], values: np.ndarray) -> None:
        """Sets the vectors of keys, adding those that are new, and commits; their slots are cleared."""
        self._refuse_reading()
        last = {as_key(key, self.kind): number for number, key in enumerate(keys)}
        names, picked = list(last), np.asarray(values, np.float32)[list(last.values())]
        rows = self._index.find(names)
        known = rows >= 0
        if known.any():
            fresh = np.zeros((int(known.sum()), len(self.slots), self.dimensions), np.float32)
            self.write(rows[known], picked[known], fresh)
        self.commit()
        if not known.all():
            self._add([name for name, has in zip(names, known.tolist(), strict=True) if not has], picked[~known])

    def _add(self, names: list[bytes], values: np.ndarray) -> None:
        """Adds rows beyond the end of each file, then makes them part of the store by one change of the manifest."""
        held, path = self._manifest, self.path
        if values.ndim != 2 or values.shape[1] != held.dimensions or not np.isfinite(values).all():
            raise InputError(
                f"values of shape {values.shape}, expected finite numbers [n, {held.dimensions}]", path=path
            )
        ends = np.cumsum([len(name) for name in names], dtype=np.uint64) + np.uint64(held.key_bytes)
        hashes = np.concatenate([self._index.hashes, hashes_of(names)])
        order = np.concatenate([self._index.rows, np.arange(held.count, held.count + len(names), dtype="<u4")])
        sorting = np.argsort(hashes, kind="stable")
        index = held.index + 1
        try:
            _write_at(path / "keys.bin", held.key_bytes, b"".join(names))
            _write_at(path / "offsets.bin", 8 * (held.count + 1), ends.astype("<u8").tobytes())
            _write_at(path / "rows.bin", 4 * held.count * held.dimensions, values.astype("<f4").tobytes())
            if held.slots:
                at = 4 * held.count * held.dimensions * len(held.slots)
                _write_at(path / "slots.bin", at, bytes(4 * values.size * len(held.slots)))
            _write_at(path / f"hashes-{index}.bin", 0, hashes[sorting].astype("<u8").tobytes())
            _write_at(path / f"order-{index}.bin", 0, order[sorting].astype("<u4").tobytes())
        except OSError as error:
            raise InputError(f"cannot be written: {error.strerror or error}; nothing was added", path=path) from None
        old = held.index
        held.count, held.key_bytes, held.index = held.count + len(names), int(ends[-1]), index
        held.save(path)
        for name in ("hashes", "order"):
            (path / f"{name}-{old}.bin").unlink(missing_ok=True)
        self._map()

    def start_training(self, slots: Sequence[str], initial: Sequence[float] = (), *, fresh: bool = False) -> None:
        """Makes room for what an optimizer keeps of each number; what another one kept, and all tags, are dropped.

        Args:
            slots: the names of what it keeps.
            initial: the values that they start from, by default zeros.
            fresh: start anew also where the store has slots of these names.

        Raises:
            InputError: when the disk is full.
        """
        self._refuse_reading()
        if list(slots) == self._manifest.slots and not fresh:
            return
        self.commit()
        self._drop_tags()
        path, size = self.path / "slots.bin", 4 * self._manifest.count * self.dimensions
        held = dict(zip(slots, [*initial, *[0.0] * len(slots)], strict=False))
        try:
            with path.with_suffix(".new").open("wb+") as file:
                if any(held.values()):
                    row = np.repeat(np.array(list(held.values()), "<f4"), self.dimensions)
                    for start in range(0, len(self), 4096):
                        file.write(np.tile(row, (min(4096, len(self) - start), 1)).tobytes())
                elif slots and size:
                    reserve(file.fileno(), size * len(slots))
            self._manifest.slots = []
            self._manifest.save(self.path)
            os.replace(path.with_suffix(".new"), path)
        except OSError as error:
            path.with_suffix(".new").unlink(missing_ok=True)
            raise InputError(f"no room for the optimizer's memory: {error.strerror or error}", path=path) from None
        self._manifest.slots = list(slots)
        self._manifest.save(self.path)
        self._map()

    def commit(self, tag: str | None = None) -> None:
        """Makes the changes since the last commit permanent.

        Args:
            tag: a name of the state, to which ``move_to`` then comes back; without one, all tags are forgotten where
                anything has changed.
        """
        self._refuse_reading()
        changed, held, old = bool(self._touched.any()), self._manifest, self._log
        if not changed and (tag is None or (held.at >= 0 and held.tags[held.at] == tag)):
            return
        self._sync()
        old.sync()
        old.close()
        gone: list[Path] = []
        if tag is None:
            gone = [self._segment(number) for number in held.segments if number >= 0] + [old.path]
            held.tags, held.segments, held.at = [], [], -1
        else:
            gone = [self._segment(number) for number in held.segments[held.at + 1 :]]
            held.tags, held.segments = held.tags[: held.at + 1], held.segments[: held.at + 1]
            if tag in held.tags:
                raise InputError(f"the store has a state {tag!r} already", path=self.path)
            held.segments.append(held.log if held.tags else -1)
            if not held.tags:
                gone.append(old.path)
            held.tags.append(tag)
            held.at = len(held.tags) - 1
        held.log += 1
        held.save(self.path)
        self._retire(gone)
        self._log = self._new_log(held.log)
        self._touched[:] = False

    def _drop_tags(self) -> None:
        held = self._manifest
        gone = [self._segment(number) for number in held.segments if number >= 0]
        held.tags, held.segments, held.at = [], [], -1
        held.save(self.path)
        for path in gone:
            path.unlink(missing_ok=True)

    def rollback(self) -> None:
        """Undoes the changes since the last commit."""
        self._refuse_reading()
        self._log.close()
        for rows, content in self._log.records():
            self._apply(rows, content)
        self._log.path.unlink(missing_ok=True)
        self._touched[:] = False

    def move_to(self, tag: str) -> None:
        """Brings every row, and its slots, to the state of a tagged commit, earlier or later than the present one.

        Raises:
            InputError: for a state that the store does not have; what was not committed is undone in any case.
        """
        self.rollback()
        held = self._manifest
        if tag not in held.tags:
            raise InputError(
                f"the store has no state {tag!r}: another run has changed it since, or it is another copy",
                path=self.path,
            )
        goal = held.tags.index(tag)
        while held.at != goal:
            forward = goal > held.at
            place = held.at + 1 if forward else held.at
            number, new = held.segments[place], held.log + 1
            kept = self._new_log(new)
            for rows, _ in self._new_log(number).records():
                kept.append(rows, self._content(rows))
            kept.sync()
            kept.close()
            held.pending = {"apply": number, "place": place, "segment": new, "at": place if forward else place - 1}
            held.log = new + 1
            held.save(self.path)
            self._finish_move()
        self._log = self._new_log(held.log)

    def forget(self, keep: Sequence[str]) -> None:
        """Drops the logs by which it can come to states before the first of those that are kept."""
        self._refuse_reading()
        held = self._manifest
        first = min((place for place, tag in enumerate(held.tags) if tag in keep), default=held.at)
        first = min(first, held.at)
        if first <= 0:
            return
        gone = held.segments[: first + 1]
        held.tags, held.segments, held.at = held.tags[first:], [-1, *held.segments[first + 1 :]], held.at - first
        held.save(self.path)
        self._retire([self._segment(number) for number in gone if number >= 0])

    def drop(self) -> None:
        """Deletes the store."""
        self._refuse_reading()
        self.close()
        shutil.rmtree(self.path)

    def close(self) -> None:
        """Undoes what was not committed, and lets go of the files."""
        if self.writable:
            if self._touched.any():
                self.rollback()
            self._log.close()
            (self.path / _SPARE).unlink(missing_ok=True)
        self.writable = False
        for table in self._tables:
            table.close()
        self._stack.close()

    # -- the parts of these ----------------------------------------------------------------------------------------

    def _refuse_reading(self) -> None:
        if not self.writable:
            raise InputError("the store is open for reading only", path=self.path)

    def _segment(self, number: int) -> Path:
        return self.path / f"log-{number}.bin"

    def _new_log(self, number: int) -> RowLog:
        held = self._manifest
        widths = [held.dimensions, held.dimensions * len(held.slots)][: 2 if held.slots else 1]
        return RowLog(self._segment(number), widths, number, self.path / _SPARE)

    def _retire(self, logs: Sequence[Path]) -> None:
        """Keeps one of the logs that are over for the next one, and deletes the others."""
        for path in logs:
            with suppress(FileNotFoundError):
                os.replace(path, self.path / _SPARE)

    def _content(self, rows: np.ndarray) -> list[np.ndarray]:
        return [each.gather(rows) for each in self._tables]

    def _apply(self, rows: np.ndarray, contents: Sequence[np.ndarray]) -> None:
        for table, content in zip(self._tables, contents, strict=False):
            table.scatter(rows, content)

    def _sync(self) -> None:
        for table in self._tables:
            table.sync()

    def _finish_move(self) -> None:
        """Applies the log of a move; doing it again after a crash does the same."""
        held = self._manifest
        assert held.pending is not None
        number = held.pending["apply"]
        for rows, content in self._new_log(number).records():
            self._apply(rows, content)
        self._sync()
        held.segments[held.pending["place"]], held.at = held.pending["segment"], held.pending["at"]
        held.pending = None
        held.save(self.path)
        self._segment(number).unlink(missing_ok=True)

    def _recover(self) -> None:
        if self._manifest.pending is not None:
            self._finish_move()
        self.rollback()
        (self.path / _SPARE).unlink(missing_ok=True)
        known = {self._segment(number).name for number in (*self._manifest.segments, self._manifest.log)}
        for path in self.path.glob("log-*.bin"):  # of a commit that was cut short
            if path.name not in known:
                with suppress(OSError):
                    path.unlink()


def _unfinished(path: Path) -> bool:
    held = Manifest.load(path)
    return held.pending is not None or (path / f"log-{held.log}.bin").is_file()


def _write_at(path: Path, at: int, data: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        view = memoryview(data)
        while view:
            written = os.pwrite(handle, view, at)
            view, at = view[written:], at + written
        os.fsync(handle)
    finally:
        os.close(handle)
