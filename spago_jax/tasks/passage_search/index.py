# SPDX-License-Identifier: BSD-2-Clause
"""PassageIndex: passages with their vectors, in memory and on disk."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spago_jax.core.disk import explain_os_error, new_folder, refuse_taken
from spago_jax.data.files import find_file
from spago_jax.data.formats.labeled_text import FILE_FORMATS
from spago_jax.data.formats.plain_text import read_lines
from spago_jax.data.formats.records import delimiter_of, json_records, table_records
from spago_jax.data.notes import BadRows
from spago_jax.errors import InputError

Backend = Literal["exact", "usearch"]

APPROXIMATE_FROM = 1_000_000
"""With more passages than this, ``usearch`` is the default where it is installed."""


@dataclasses.dataclass(frozen=True)
class Passage:
    """A passage.

    Attributes:
        text: the passage.
        id: its name; its number if it was given none.
        title: a title, which is not searched.
        metadata: what else is known about it, by which a search may be narrowed.
    """

    text: str
    id: str = ""
    title: str = ""
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)


def passages_of(source: Any, *, text: str = "text", id: str = "id", title: str = "title") -> Iterator[Passage]:
    """Yields passages from a list of texts or of passages, or from a file.

    Args:
        source: texts, ``Passage`` values, or the path of a .csv, .tsv, .json or .jsonl file, or of one with a passage
            per line.
        text: the column or key of the passage in a table or in JSON.
        id: that of its name, where there is one.
        title: that of its title, where there is one.

    Raises:
        InputError: for a missing or bad file, or values of another kind.
    """
    if isinstance(source, str | Path):
        yield from (passage for _, passage in passages_of_file(source, text=text, id=id, title=title))
        return
    for number, value in enumerate(source):
        if isinstance(value, Passage):
            yield value
        elif isinstance(value, str):
            yield Passage(value, str(number))
        else:
            raise InputError(f"passage {number} is a {type(value).__name__}, expected a text")


def passages_of_file(
    source: str | Path, *, text: str = "text", id: str = "id", title: str = "title", metadata: Sequence[str] = ()
) -> Iterator[tuple[int, Passage]]:
    """Yields passages of a file, with the line that each begins in; arguments as for ``passages_of``.

    Args:
        source: the file.
        text: the column or key of the passage.
        id: that of its name.
        title: that of its title.
        metadata: columns or keys that are kept with it.

    Raises:
        InputError: for a missing or bad file, or a column that it does not have.
    """
    path = find_file(source)
    kind, bad = FILE_FORMATS.get(path.suffix.lower(), "lines"), BadRows()
    if kind in ("csv", "tsv"):
        cut = "\t" if kind == "tsv" else delimiter_of(path, [text], ",")
        records: Iterable[Any] = table_records(
            path, delimiter=cut, header=True, keys=[text, *metadata], comment=None, bad=bad
        )
    elif kind in ("json", "jsonl"):
        records = json_records(path, lines=kind == "jsonl", bad=bad)
    else:
        for number, line in enumerate(read_lines(path)):
            if line.strip():
                yield number + 1, Passage(line, str(number))
        return
    for number, record in enumerate(records):
        try:
            found = record.value(text)
            kept = {name: str(record.value(name)) for name in metadata}
        except KeyError as error:
            raise InputError(str(error.args[0]), path=path, line=record.line) from None
        if not isinstance(found, str):
            raise InputError(f"{text!r} is {found!r:.40}, expected a text", path=path, line=record.line)
        yield record.line, Passage(found, _value(record, id) or str(number), _value(record, title), kept)


def _value(record: Any, key: str) -> str:
    try:
        return str(record.value(key))
    except KeyError:
        return ""


class PassageIndex:
    """Passages with their vectors, which are searched by the cosine.

    Args:
        passages: the passages.
        vectors: one per passage, float32 [passages, features], of length 1.
        about: what the vectors were made with.
        backend: ``exact``, every passage is looked at; ``usearch``, an approximate graph (HNSW) for very many.
    """

    def __init__(
        self,
        passages: Sequence[Passage],
        vectors: np.ndarray,
        about: dict[str, Any] | None = None,
        backend: Backend | None = None,
    ):
        if len(passages) != len(vectors):
            raise InputError(f"{len(passages)} passages and {len(vectors)} vectors")
        self.passages, self.vectors, self.about = list(passages), vectors, dict(about or {})
        self.backend = backend or ("usearch" if len(passages) > APPROXIMATE_FROM and _installed() else "exact")
        self._graph = _graph(vectors) if self.backend == "usearch" else None

    def __len__(self) -> int:
        return len(self.passages)

    def nearest(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the passages nearest to each of some vectors.

        Args:
            vectors: float [queries, features], of length 1.
            count: how many passages.

        Returns:
            Their numbers int [queries, count] and cosines float [queries, count], the nearest first.
        """
        count = min(count, len(self))
        if count == 0:
            return np.zeros((len(vectors), 0), np.int64), np.zeros((len(vectors), 0), np.float32)
        if self._graph is not None:
            found = self._graph.search(np.asarray(vectors, np.float32), count)
            return np.atleast_2d(found.keys).astype(np.int64), 1 - np.atleast_2d(found.distances)
        scores = np.asarray(vectors, np.float32) @ self.vectors.T
        best = np.argpartition(-scores, count - 1, axis=-1)[:, :count]
        order = np.argsort(-np.take_along_axis(scores, best, -1), axis=-1, kind="stable")
        best = np.take_along_axis(best, order, -1)
        return best, np.take_along_axis(scores, best, -1)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Writes ``passages.jsonl``, ``vectors.npy`` and ``index.json``; the folder appears when all is written.

        Raises:
            InputError: where something is in the way; an index is only replaced with ``overwrite``.
            CheckpointError: where it cannot be written.
        """
        refuse_taken(Path(folder), "an index", "index.json", overwrite=overwrite)
        with explain_os_error(folder), new_folder(folder, replace=overwrite) as new:
            with open(new / "passages.jsonl", "w", encoding="utf-8") as file:
                for passage in self.passages:
                    file.write(json.dumps(dataclasses.asdict(passage), ensure_ascii=False) + "\n")
            np.save(new / "vectors.npy", self.vectors)
            (new / "index.json").write_text(json.dumps({"format": 1, **self.about, "passages": len(self)}, indent=1))

    @classmethod
    def open(cls, folder: str | Path, backend: Backend | None = None) -> "PassageIndex":
        """Opens what ``save`` wrote; the vectors are mapped into memory.

        Raises:
            InputError: where something is missing or damaged.
        """
        folder = Path(folder)
        try:
            about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
            with open(folder / "passages.jsonl", encoding="utf-8") as file:
                passages = [Passage(**json.loads(line)) for line in file]
            if vectors.ndim != 2 or vectors.dtype != np.float32:
                raise ValueError(f"vectors.npy holds {vectors.dtype} {list(vectors.shape)}, expected float32 rows")
            return cls(passages, vectors, about, backend)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"not an index of passages: {error}", path=folder) from None


def _installed() -> bool:
    from importlib.util import find_spec

    return find_spec("usearch") is not None


def _graph(vectors: np.ndarray) -> Any:
    try:
        from usearch.index import Index  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError("backend 'usearch' needs the package usearch: pip install 'spago_jax[search]'") from None
    index = Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
    index.add(np.arange(len(vectors)), np.asarray(vectors))
    return index
