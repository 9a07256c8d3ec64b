# SPDX-License-Identifier: BSD-2-Clause
"""Word vectors from one format to another, in a stream: text, binary, or a store on disk."""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.data.files import new_file
from spago_jax.embeddings.formats.read import read_into
from spago_jax.embeddings.formats.rows import Sink, as_bytes
from spago_jax.embeddings.store.build import new_store
from spago_jax.errors import InputError

FORMS = ("store", "word2vec", "word2vec-binary", "glove")
_HEAD = 32  # bytes that are kept for a header whose count is known at the end


@dataclasses.dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        format: of the file that was read.
        words: how many were written.
        dimensions: of a vector.
        duplicates: how many came again, and were left out.
        broken: how many are not UTF-8.
        empty: how many were empty, and were left out.
    """

    format: str
    words: int
    dimensions: int
    duplicates: int
    broken: int
    empty: int


class _Passing(Sink):
    """Hands each vector on; remembers the hashes of its words alone."""

    def __init__(self, path: Path, wanted: Collection[bytes] | None):
        super().__init__(path, wanted)
        self.write: Callable[[bytes, np.ndarray], Any] = lambda word, vector: None
        self.start: Callable[[int], Any] = lambda size: None
        self.count = self.size = 0
        self._known: set[int] = set()

    def begin(self, size: int) -> None:
        self.size = size
        self.start(size)

    def held(self, word: bytes) -> bool:
        return hash(word) in self._known

    def take(self, word: bytes, values: np.ndarray) -> None:
        self._known.add(hash(word))
        self.count += 1
        self.write(word, values)


def convert_vectors(
    path: str | Path,
    out: str | Path,
    form: str | None = None,
    *,
    format: str | None = None,
    vocabulary: Collection[str] | None = None,
    overwrite: bool = False,
) -> Converted:
    """Writes the vectors of a file in another format, whole or not at all; they are not held in memory.

    Args:
        path: the file, of any format.
        out: the store's folder, or the file to write.
        form: ``store``, ``word2vec`` (text), ``word2vec-binary`` or ``glove``; by default what the name of ``out``
            says: ``.vec`` and ``.txt`` text, ``.bin`` binary, else a store.
        format: of the file that is read; None: the file shows it.
        vocabulary: the only words that are written; of formats with vectors of parts of words also unknown ones.
        overwrite: whether something of the kind that is there is replaced.

    Raises:
        InputError: for a bad file, or a place that cannot be written.
    """
    out, path = Path(out), Path(path)
    form = form or {".vec": "word2vec", ".txt": "word2vec", ".bin": "word2vec-binary"}.get(out.suffix, "store")
    if form not in FORMS:
        raise InputError(f"{form!r}: expected one of {', '.join(FORMS)}")
    if form != "store" and out.exists() and not overwrite:
        raise InputError("the file exists; choose another name, or replace it with --overwrite", path=out)
    sink = _Passing(path, None if vocabulary is None else [as_bytes(word) for word in dict.fromkeys(vocabulary)])
    with ExitStack() as stack, _target(out, form, sink, stack, overwrite=overwrite):
        found = read_into(path, sink, format)
        if vocabulary is not None and sink.subwords is not None:
            _compose(sink, vocabulary)
        if not sink.count:
            raise InputError("no words to write: give those that are wanted in a file, with --words", path=path)
    return Converted(found, sink.count, sink.size, sink.duplicates, sink.broken, sink.empty)


def _compose(sink: _Passing, vocabulary: Collection[str]) -> None:
    words = [word for word in dict.fromkeys(vocabulary) if word and not sink.held(as_bytes(word))]
    for at in range(0, len(words), 512):
        made, known = sink.subwords.compose(words[at : at + 512])
        for word, vector, has in zip(words[at : at + 512], made, known.tolist(), strict=True):
            if has:
                sink.add(as_bytes(word), vector)


@contextmanager
def _target(out: Path, form: str, sink: _Passing, stack: ExitStack, *, overwrite: bool) -> Iterator[None]:
    if form == "store":
        held: list[Any] = []

        def start(size: int) -> None:
            if not held:
                about = {"from": str(sink.path)}
                held.append(stack.enter_context(new_store(out, size, overwrite=overwrite, about=about)))
                sink.write = held[0].add

        sink.start = start
        yield
        return
    with new_file(out) as file:
        if form == "word2vec":
            file.write(b" " * _HEAD + b"\n")

        def row(word: bytes, values: np.ndarray) -> None:
            if form == "word2vec-binary":
                file.write(word + b" " + values.astype("<f4").tobytes() + b"\n")
            else:
                numbers = " ".join(map("{:.9g}".format, values.tolist()))  # nine digits are all of a float32
                file.write(word + b" " + numbers.encode() + b"\n")

        if form == "word2vec-binary":
            file.write(b" " * _HEAD + b"\n")
        sink.write = row
        yield
        if form != "glove":
            file.seek(0)
            file.write(f"{sink.count} {sink.size}".encode())
