# SPDX-License-Identifier: BSD-2-Clause
"""Reads fastText's binary models: vectors of words and of their n-grams, from which those of other words are made."""

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.embeddings.formats.ngrams import ngram_hashes
from spago_jax.embeddings.formats.rows import Sink, as_bytes
from spago_jax.errors import InputError

MAGIC = struct.pack("<i", 793712314)
_VERSIONS = (11, 12)
_END = b"</s>"  # the end of a sentence, a word without n-grams
_MODELS = (1, 2, 3)  # cbow, skipgram, supervised
_AT_ONCE = 512  # words


class NgramVectors:
    """Composes the vectors of words: the mean of the vectors of their n-grams, and of their own where they have one.

    ``v(w) = (E[w] + sum_g B[hash(g) mod buckets]) / (1 + n)`` over the n n-grams g of ``<w>`` (Bojanowski et al.,
    2017); without ``E[w]`` and the 1 for an unknown word.

    Args:
        rows: the vectors of the n-grams, [buckets, dimensions].
        shortest: characters of an n-gram, at least.
        longest: characters of an n-gram, at most.
        own: the row of each word in ``own_rows``.
        own_rows: the words' own vectors.
        buckets: the number of buckets, where ``rows`` holds some of them only.
        kept: the row of each bucket that is held, where not all are.
    """

    def __init__(
        self,
        rows: np.ndarray,
        shortest: int,
        longest: int,
        own: dict[bytes, int] | None = None,
        own_rows: np.ndarray | None = None,
        buckets: int | None = None,
        kept: dict[int, int] | None = None,
    ):
        self.rows, self.shortest, self.longest = rows, shortest, longest
        self.own, self.own_rows = own or {}, own_rows
        self.buckets, self.kept = len(rows) if buckets is None else buckets, kept

    def compose(self, words: Any) -> tuple[np.ndarray, np.ndarray]:
        """Returns the vectors [n, dimensions], and which words have an n-gram or a vector of their own, bool [n]."""
        words = [as_bytes(word) if isinstance(word, str) else word for word in words]
        made, known = np.zeros((len(words), self.rows.shape[1]), np.float32), np.zeros(len(words), bool)
        for at in range(0, len(words), _AT_ONCE):
            part = slice(at, at + _AT_ONCE)
            made[part], known[part] = self._some(words[part])
        return made, known

    def _some(self, words: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        sums, counts = np.zeros((len(words), self.rows.shape[1]), np.float32), np.zeros(len(words), np.int64)
        for place, word in enumerate(words):
            row = self.own.get(word)
            if row is not None and self.own_rows is not None:
                sums[place], counts[place] = self.own_rows[row], 1
        if self.buckets:
            hashes, owners = ngram_hashes(
                [b"" if word == _END else word for word in words], self.shortest, self.longest
            )
            buckets = (hashes % np.uint32(self.buckets)).astype(np.int64)
            held = np.array([words[owner] != _END for owner in owners.tolist()], bool)
            if self.kept is not None:
                found = np.array([self.kept.get(bucket, -1) for bucket in buckets.tolist()], np.int64)
                held &= found >= 0
                buckets = found
            buckets, owners = buckets[held], owners[held]
            if len(owners):
                begins = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
                parts = np.add.reduceat(np.asarray(self.rows[buckets], np.float32), begins, axis=0)
                sums[owners[begins]] += parts
                counts += np.bincount(owners, minlength=len(words))
        return sums / np.maximum(counts, 1)[:, None].astype(np.float32), counts > 0


def read_fasttext(path: Path, sink: Sink) -> None:
    """Reads a ``.bin`` file of the versions 11 and 12; its matrix stays on disk until rows are needed.

    Raises:
        InputError: for another version, a quantised model (``.ftz``), or a file that is cut off.
    """
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            raise InputError("a model of fastText must be a plain file, not a pipe or compressed", path=path) from None
    reader = _Reader(data, path)
    magic, version = reader.take("<2i")
    if struct.pack("<i", magic) != MAGIC:
        raise InputError("not a model of fastText: its magic number is missing", path=path)
    if version not in _VERSIONS:
        raise InputError(f"version {version} of fastText's format, expected 11 or 12", path=path)
    size, _, _, _, _, _, _, model, buckets, shortest, longest, _ = reader.take("<12i")
    reader.take("<d")
    if model not in _MODELS or size < 1 or buckets < 0 or shortest < 0:
        raise InputError(f"damaged: a model of kind {model}, {size} dimensions, {buckets} buckets", path=path)
    if version == 11 and model == 3:
        longest = 0  # older models of classes had no n-grams of characters
    words, kept = _dictionary(reader)
    (quantised,) = reader.take("<?")
    if quantised:
        raise InputError(
            "a quantised model (.ftz), which holds codes instead of vectors; take the .bin file that it was made from",
            path=path,
        )
    rows, columns = reader.take("<2q")
    held = len(words) + (len(kept) if kept is not None else buckets)
    if columns != size or rows < len(words) or (longest > 0 and rows < held):
        raise InputError(f"damaged: a matrix of {rows:,} x {columns}, expected {held:,} x {size}", path=path)
    start = reader.at
    if start + 4 * rows * columns > len(data):
        raise InputError(
            f"cut off: it has {len(data):,} bytes, its matrix ends at {start + 4 * rows * columns:,}", path=path
        )
    matrix = np.frombuffer(data, "<f4", rows * columns, start).reshape(rows, columns)
    own = dict(zip(words, range(len(words)), strict=True))
    composed = NgramVectors(
        matrix[len(words) :],
        shortest,
        longest,
        own,
        matrix,
        buckets if longest > 0 and rows > len(words) else 0,
        kept,
    )
    sink.subwords = composed
    sink.begin(size)
    for at in range(0, len(words), _AT_ONCE):
        some = [word for word in words[at : at + _AT_ONCE] if sink.wants(word)]
        if some:
            for word, vector in zip(some, composed.compose(some)[0], strict=True):
                sink.add(word, vector, place="")


class _Reader:
    def __init__(self, data: mmap.mmap, path: Path):
        self.data, self.path, self.at = data, path, 0

    def take(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        if self.at + size > len(self.data):
            raise InputError(f"cut off after {len(self.data):,} bytes, within its header", path=self.path)
        found = struct.unpack_from(form, self.data, self.at)
        self.at += size
        return found


def _dictionary(reader: _Reader) -> tuple[list[bytes], dict[int, int] | None]:
    """Returns the words, and the rows of the buckets that a pruned model keeps."""
    size, count, labels, _, pruned = reader.take("<3i2q")
    if size != count + labels or min(size, count, labels) < 0:
        raise InputError(f"damaged: {size} entries, {count} words and {labels} labels", path=reader.path)
    words = []
    for number in range(size):
        end = reader.data.find(b"\0", reader.at)
        if end < 0:
            raise InputError(f"cut off within word {number + 1:,} of {size:,}", path=reader.path)
        word = reader.data[reader.at : end]
        reader.at = end + 1
        _, kind = reader.take("<qb")
        if kind == 0:
            words.append(word)
    if len(words) != count:
        raise InputError(f"damaged: {len(words)} words, its header says {count}", path=reader.path)
    if pruned < 0:
        return words, None
    return words, dict(reader.take("<2i") for _ in range(pruned))
