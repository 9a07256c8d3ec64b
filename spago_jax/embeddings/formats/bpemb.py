# SPDX-License-Identifier: BSD-2-Clause
"""BPEmb: vectors of SentencePiece's pieces, of which those of words are made as Flair makes them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from spago_jax.embeddings.formats.rows import Rows, Sink
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.errors import InputError
from spago_jax.text.tokenizers.sentence_pieces import sentencepiece_engine

_NAME = re.compile(r"(?P<stem>.+\.bpe\.vs\d+)\.d\d+\.w2v\.(bin|txt)(\.gz)?$")


class PieceVectors:
    """``v(w) = [E[first piece]; E[last piece]]`` of the word in lower case with its digits as zeros (Heinzerling and
    Strube, 2018; as Flair's ``BytePairEmbeddings``).

    Args:
        engine: a ``SentencePieceProcessor``.
        pieces: the vectors of its pieces, in the order of their ids.
    """

    def __init__(self, engine: Any, pieces: np.ndarray):
        self.engine, self.pieces = engine, pieces

    def compose(self, words: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the vectors [n, twice the dimensions of a piece], and which words are not blank, bool [n]."""
        words = list(words)
        size = self.pieces.shape[1]
        made, known = np.zeros((len(words), 2 * size), np.float32), np.zeros(len(words), bool)
        for place, word in enumerate(words):
            ids = self.engine.encode(re.sub(r"\d", "0", word).lower()) if word.strip() else []
            if ids:
                made[place, :size], made[place, size:], known[place] = self.pieces[ids[0]], self.pieces[ids[-1]], True
        return made, known


def partner_of(path: Path) -> Path | None:
    """The SentencePiece model that belongs to ``LANG.wiki.bpe.vsN.dD.w2v.bin`` by its name; None for other names.

    >>> partner_of(Path("en.wiki.bpe.vs1000.d50.w2v.bin")).name
    'en.wiki.bpe.vs1000.model'
    """
    named = _NAME.match(path.name)
    return path.with_name(f"{named['stem']}.model") if named else None


def read_bpemb(path: Path, rows: WordVectors, sink: Sink) -> None:
    """Gives a sink what composes words of pieces, and the wanted words' vectors.

    Args:
        path: the file of the pieces' vectors, whose model lies beside it.
        rows: the pieces and their vectors, as read from it.
        sink: where they go.

    Raises:
        InputError: where the model is missing, or has other pieces.
    """
    model = partner_of(path)
    if model is None or not model.is_file():
        expected = "LANG.wiki.bpe.vsN.model" if model is None else model.name
        raise InputError(f"its SentencePiece model {expected!r} is missing beside it: copy both files", path=path)
    engine = sentencepiece_engine(model.read_bytes(), model)
    pieces = [engine.id_to_piece(number) for number in range(engine.get_piece_size())]
    unknown = next((piece for piece in pieces if piece not in rows), None)
    if unknown is not None:
        raise InputError(f"has no vector for the piece {unknown!r} of {model.name!r}: are they a pair?", path=path)
    sink.subwords = PieceVectors(engine, np.stack([rows[piece] for piece in pieces]))
    sink.begin(2 * rows.dimensions)
    wanted = sorted(word for word in sink.wanted or () if sink.wants(word))
    made, known = sink.subwords.compose([word.decode("utf-8", "surrogateescape") for word in wanted])
    for word, vector, has in zip(wanted, made, known, strict=True):
        if has:
            sink.add(word, vector)


def rows_of(path: Path) -> Rows:
    """A sink for the pieces of a file."""
    return Rows(path, None, np.dtype(np.float32), lowercase=False)
