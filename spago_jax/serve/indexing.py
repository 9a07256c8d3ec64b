# SPDX-License-Identifier: BSD-2-Clause
"""Makes the index of a collection from a file, strictly, and without encoding a passage twice."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.tasks.passage_search.index import Passage, PassageIndex, passages_of_file

_FLUSH = 256  # passages after which what was encoded is safe on disk


def read_passages(path: str | Path, **columns: Any) -> list[Passage]:
    """Returns the passages of a file, whose texts are not empty and whose ids differ.

    Args:
        path: a .csv, .tsv, .json or .jsonl file, or one with a passage per line.
        columns: as for ``passages_of_file``.

    Raises:
        InputError: with its line, for an empty text or an id that occurs twice.
    """
    found: list[Passage] = []
    lines: dict[str, int] = {}
    for line, passage in passages_of_file(path, **columns):
        if not passage.text.strip():
            raise InputError("the text is empty", path=path, line=line)
        if passage.id in lines:
            raise InputError(f"id {passage.id!r} is that of line {lines[passage.id]} too", path=path, line=line)
        lines[passage.id] = line
        found.append(passage)
    if not found:
        raise InputError("there are no passages in it", path=path)
    return found


def build_index(
    passages: Sequence[Passage],
    encode: Callable[[Sequence[str]], Iterable[np.ndarray]],
    folder: str | Path,
    about: dict[str, Any],
    *,
    overwrite: bool = False,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda items, _: items,
) -> tuple[PassageIndex, int]:
    """Writes the index of some passages.

    Vectors of the same texts by the same encoder are taken from the index that is there, and from the beginning of one
    that was interrupted.

    Args:
        passages: what can be found.
        encode: from texts to vectors, one by one, in order.
        folder: of the index.
        about: the encoder, its ``revision`` and whatever else vectors depend on.
        overwrite: replace an index that is there.
        progress: passes numbers on as they come, and is told how many there will be.

    Returns:
        The index, and how many passages were encoded.
    """
    folder = Path(folder)
    part = folder.with_name(f"{folder.name}.part")
    known = {**_vectors_of(folder, about), **_Part(part, about).read()}
    hashes = [text_hash(passage.text) for passage in passages]
    missing = {name: passage.text for name, passage in zip(hashes, passages, strict=True) if name not in known}
    names = list(missing)
    with _Part(part, about) as kept:
        vectors = encode(list(missing.values()))
        for name, vector in zip(names, progress(vectors, len(names)), strict=True):
            unit = np.asarray(vector, np.float32)
            known[name] = unit / max(float(np.linalg.norm(unit)), 1e-12)
            kept.add(name, known[name])
    rows = np.stack([known[name] for name in hashes]).astype(np.float32)
    index = PassageIndex(passages, rows, {**about, "features": int(rows.shape[1]), "normalized": True}, "exact")
    index.save(folder, overwrite=overwrite)
    shutil.rmtree(part, ignore_errors=True)
    return index, len(names)


def text_hash(text: str) -> str:
    """Returns the name of a text."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def _vectors_of(folder: Path, about: dict[str, Any]) -> dict[str, np.ndarray]:
    """Returns the vectors of an index by the texts they belong to, where the same encoder made them."""
    if not (folder / "index.json").is_file():
        return {}
    index = PassageIndex.open(folder, "exact")
    if index.about.get("revision") != about.get("revision") or not about.get("revision"):
        return {}
    return {text_hash(each.text): index.vectors[n] for n, each in enumerate(index.passages)}


class _Part:
    """What was encoded so far, in a folder beside that of the index: names, and as many vectors."""

    def __init__(self, folder: Path, about: dict[str, Any]):
        self.folder = folder
        self._revision = str(about.get("revision") or "")
        self._names: list[str] = []
        self._rows: list[np.ndarray] = []

    def read(self) -> dict[str, np.ndarray]:
        """Returns what a run that was interrupted has left, where the same encoder made it."""
        try:
            revision, size, *names = (self.folder / "names").read_text(encoding="ascii").split("\n")
            values = np.fromfile(self.folder / "vectors", np.float32)
        except (OSError, ValueError):
            return {}
        if revision != self._revision or not revision or not size.isdecimal():
            return {}
        rows = values[: len(values) // int(size) * int(size)].reshape(-1, int(size))
        return {name: row for name, row in zip(names, rows, strict=False) if len(name) == 32}

    def __enter__(self) -> "_Part":
        self._kept = self.read()
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, row in self._kept.items():
            self.add(name, row)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()

    def add(self, name: str, row: np.ndarray) -> None:
        self._names.append(name)
        self._rows.append(row)
        if len(self._rows) >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        names = self.folder / "names"
        head = "" if names.exists() else f"{self._revision}\n{len(self._rows[0])}\n"
        # Vectors first: a name without one would lend it that of the next.
        with open(self.folder / "vectors", "ab") as file:
            file.write(np.stack(self._rows).astype(np.float32).tobytes())
        with open(names, "a", encoding="ascii") as file:
            file.write(head + "".join(f"{name}\n" for name in self._names))
        self._names, self._rows = [], []


def vectors(encoder: Any, texts: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields the vectors of texts by a predictor of text-encoding."""
    return (found.vector for found in encoder.stream(texts))
