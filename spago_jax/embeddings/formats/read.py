# SPDX-License-Identifier: BSD-2-Clause
"""Finds out the format of a file of word vectors, and reads it into a sink."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from spago_jax.data.files import find_file, open_binary
from spago_jax.embeddings.formats.bpemb import partner_of, read_bpemb, rows_of
from spago_jax.embeddings.formats.fasttext import MAGIC, read_fasttext
from spago_jax.embeddings.formats.floret import is_floret, read_floret
from spago_jax.embeddings.formats.gensim import read_gensim, refuse_partner
from spago_jax.embeddings.formats.magnitude import MAGIC as SQLITE
from spago_jax.embeddings.formats.magnitude import read_magnitude
from spago_jax.embeddings.formats.rows import Sink
from spago_jax.embeddings.formats.text import header_of, read_text
from spago_jax.embeddings.formats.word2vec_binary import read_binary
from spago_jax.errors import InputError, did_you_mean

FORMATS = ("glove", "word2vec", "word2vec-binary", "gensim", "fasttext", "floret", "bpemb", "magnitude")


def read_into(path: str | Path, sink: Sink, format: str | None = None) -> str:
    """Reads a file of word vectors, and returns its format.

    Args:
        path: the file; ``.gz`` is decompressed, and the one member of a ``.zip``.
        sink: what takes the vectors.
        format: one of ``FORMATS``; None: the file shows it.

    Raises:
        InputError: the file is missing, empty or bad, or the format unknown.
    """
    path = find_file(path)
    if format is not None and format not in FORMATS:
        raise InputError(f"format {format!r} of word vectors is unknown: {did_you_mean(format, FORMATS)}")
    refuse_partner(path)
    with _opened(path) as file:
        first = file.readline(1 << 20)
        format = format or _format_of(path, first)
        if format == "fasttext":
            read_fasttext(path, sink)
        elif format == "gensim":
            read_gensim(path, sink)
        elif format == "magnitude":
            read_magnitude(path, sink)
        elif format == "bpemb":
            pieces = rows_of(path)
            read_into(path, pieces, _plain_format(path, first))
            read_bpemb(path, pieces.result(), sink)
        elif not first.strip():
            raise InputError("empty, or an empty first line; expected word vectors", path=path, line=1)
        elif format == "floret":
            if not is_floret(first):
                raise InputError("expected the eight fields of a header of floret", path=path, line=1)
            read_floret(path, file, first, sink)
        elif format == "glove":
            read_text(path, file, first, None, sink)
        else:
            header = header_of(first)
            if header is None:
                shown = repr(first[:60].decode("utf-8", "replace").rstrip())
                raise InputError(
                    f"{shown}, expected the two numbers of a header, words and dimensions", path=path, line=1
                )
            if format == "word2vec-binary":
                read_binary(path, file, header, sink)
            else:
                read_text(path, file, first, header, sink)
    return format


def refuse_without_parts(path: str | Path) -> None:
    """Refuses, by its first line, a file in a format that has no vectors of parts of words.

    Raises:
        InputError: naming the format.
    """
    path = find_file(path)
    with _opened(path) as file:
        format = _format_of(path, file.readline(1 << 20))
    if format not in ("fasttext", "floret", "gensim"):
        raise InputError(f"subwords: {format} has no vectors of n-grams; take a file of fastText (.bin) or floret",
                         path=path)  # fmt: skip


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Opens a file, or the one member of a zip archive."""
    if path.suffix != ".zip":
        with open_binary(path) as file:
            yield file
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            if len(names) != 1:
                listed = ", ".join(names[:4])
                raise InputError(
                    f"holds {len(names)} files ({listed}), expected one: unpack the one you mean", path=path
                )
            with archive.open(names[0]) as member:
                yield cast(BinaryIO, member)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as problem:
        raise InputError(f"not a zip archive that can be read: {problem}", path=path) from None


def _format_of(path: Path, first: bytes) -> str:
    if first.startswith(MAGIC):
        return "fasttext"
    if first.startswith(SQLITE):
        return "magnitude"
    if first[:1] == b"\x80" and first[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "gensim"
    if is_floret(first):
        return "floret"
    if (partner := partner_of(path)) is not None and partner.is_file():
        return "bpemb"
    return _plain_format(path, first)


def _plain_format(path: Path, first: bytes) -> str:
    """Tells the formats of word2vec and GloVe apart by the first bytes: text has no zero bytes."""
    if header_of(first) is None:
        return "glove"
    if path.name.removesuffix(".gz").endswith(".bin") or b"\0" in _peek(path, first):
        return "word2vec-binary"
    return "word2vec"


def _peek(path: Path, first: bytes) -> bytes:
    with _opened(path) as file:
        return file.read(len(first) + 4096)
