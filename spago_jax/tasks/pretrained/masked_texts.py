# SPDX-License-Identifier: BSD-2-Clause
"""Texts as rows of pieces some of which are masked: what masked-word and replaced-token models are trained on."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from spago_jax.data.batching import Block
from spago_jax.data.cache import cached
from spago_jax.data.formats.plain_text import PlainText, read_lines
from spago_jax.data.masking import WordMasking
from spago_jax.data.packing import Packing
from spago_jax.data.processor import Rows
from spago_jax.data.ragged import RaggedArray, RaggedWriter
from spago_jax.errors import InputError
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding
from spago_jax.train.schema import TextTrainConfig

PARTS = ("ids", "special", "words", "segments")
_AT_ONCE = 1024  # texts


class MaskedTrainConfig(TextTrainConfig):
    """Training on texts with masked pieces."""

    text: Literal["line", "paragraph"] = Field(
        default="line", description="what a text is: each line, or the lines up to an empty one"
    )
    packed: bool = Field(
        default=True, description="put several texts into a row of max_length pieces, each of which sees its own alone"
    )
    mask_rate: float = Field(default=0.15, gt=0, lt=1, description="share of the pieces that are to be restored")
    whole_words: bool = Field(default=False, description="mask all pieces of a word together")


class TextRows(Rows):
    """Rows of one text each, or of several.

    Attributes:
        ids: of the pieces of each row.
        special: whether each piece was added by the tokenizer, 0 or 1.
        words: the number of the word that each piece belongs to, -1 for none.
        segments: the number of the text within its row that each piece belongs to, from 1.
    """

    def __init__(self, ids: RaggedArray, special: RaggedArray, words: RaggedArray, segments: RaggedArray | None = None):
        self.ids, self.special, self.words = ids, special, words
        self.segments = segments or RaggedArray(np.ones(len(ids.values), np.int32), ids.offsets)
        self.lengths = ids.lengths
        self.owners = np.arange(len(ids))

    def some(self, first: int, last: int) -> "TextRows":
        """Returns the rows from ``first`` up to ``last``."""
        begin, end = self.ids.offsets[first], self.ids.offsets[last]
        offsets = self.ids.offsets[first : last + 1] - begin
        return TextRows(*(RaggedArray(getattr(self, name).values[begin:end], offsets) for name in PARTS[:3]))

    def packed(self, size: int) -> "TextRows":
        """Returns rows of at most so many pieces that hold several texts each, in the order of the texts."""
        packing = Packing(self.lengths, size)
        order = np.lexsort((packing.starts, packing.rows))
        numbers = np.arange(len(order)) - np.searchsorted(packing.rows[order], packing.rows[order])
        lengths = self.lengths[order]
        begins = self.ids.offsets[:-1][order]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        place = np.repeat(begins, lengths) + within
        held = np.bincount(packing.rows, weights=self.lengths, minlength=packing.count).astype(np.int64)
        values = [np.asarray(getattr(self, name).values)[place] for name in PARTS[:3]]
        values.append(np.repeat(numbers + 1, lengths).astype(np.int32))
        return TextRows(*(RaggedArray.from_lengths(part, held) for part in values))


def read_texts(path: Path, tokenizer: SubwordTokenizer, max_length: int, text: str) -> TextRows:
    """Returns the texts of a file as rows, longer ones cut into several; encoded once, and then kept in the cache.

    Raises:
        InputError: for a missing or bad file, or one without a text.
    """

    def build(folder: Path) -> None:
        with (
            RaggedWriter(folder, "ids", np.int32) as ids,
            RaggedWriter(folder, "special", np.uint8) as special,
            RaggedWriter(folder, "words", np.int32) as words,
        ):
            for rows in _encoded(_texts(path, text), tokenizer, max_length):
                lengths = [len(row.ids) for row in rows]
                ids.extend([id for row in rows for id in row.ids], lengths)
                special.extend([mark for row in rows for mark in row.special_mask], lengths)
                words.extend([-1 if word is None else word for row in rows for word in row.word_ids], lengths)

    settings = {"tokenizer": tokenizer.saved(), "max_length": max_length, "text": text}
    folder = cached("pieces", [path], settings, build)
    found = TextRows(*(RaggedArray.open(folder, name) for name in PARTS[:3]))
    if not len(found):
        raise InputError("no text in it: all of its lines are empty", path=path)
    return found


def _texts(path: Path, text: str) -> Iterator[str]:
    if text == "line":
        yield from (line for line in read_lines(path) if line.strip())
        return
    lines: list[str] = []
    for line in read_lines(path):
        if line.strip():
            lines.append(line)
        elif lines:
            yield " ".join(lines)
            lines = []
    if lines:
        yield " ".join(lines)


def _encoded(texts: Iterable[str], tokenizer: SubwordTokenizer, max_length: int) -> Iterator[list[Encoding]]:
    iterator = iter(texts)
    while chunk := list(islice(iterator, _AT_ONCE)):
        rows: list[Encoding] = []
        for text, row in zip(chunk, tokenizer.encode_batch(chunk), strict=True):
            fits = len(row.ids) <= max_length
            rows += [row] if fits else tokenizer.windows(text, max_length=max_length, stride=0)
        yield rows


def read_part(
    data: PlainText, split: str, tokenizer: SubwordTokenizer, max_length: int, text: str, files: Sequence[Path] | None
) -> TextRows:
    """Returns the texts of one part: those of its file, or the last ones of the training file.

    Raises:
        InputError: as for ``read_texts``, and where the training file is too short for the parts.
    """
    own = list(data.files(split) if files is None else files)
    if len(own) > 1:
        raise InputError(f"{len(own)} files of text, expected one", path=own[1])
    path = own[0] if own else data.files("train")[0]
    rows = read_texts(path, tokenizer, max_length, text)
    if files is not None or (own and split != "train"):
        return rows
    dev, test = (0.0 if data.files(name) else getattr(data, f"{name}_fraction") for name in ("dev", "test"))
    test_from = len(rows) - int(len(rows) * test)
    dev_from = min(int(len(rows) * (1 - dev - test)), test_from)
    begin, end = {"train": (0, dev_from), "dev": (dev_from, test_from), "test": (test_from, len(rows))}[split]
    if begin >= end:
        raise InputError(f"{len(rows)} texts are too few: none is left for {split}", path=path)
    return rows.some(begin, end)


def masked_arrays(
    rows: TextRows, block: Block, masking: WordMasking, *, pad: int, epoch: int, whole_words: bool, packed: bool
) -> dict[str, np.ndarray]:
    """Returns the arrays of a block: masked ``ids``, ``types``, ``lengths``, the places ``at`` that are to be restored.

    The targets are the ``labels`` at these places and their ``weights``; rows of several texts have ``segments``.
    """
    flat = block.indices.reshape(-1)
    ids, lengths = rows.ids.gather(flat, block.length, pad=pad)
    special, _ = rows.special.gather(flat, block.length, pad=1)
    words = rows.words.gather(flat, block.length, pad=-1)[0] if whole_words else None
    found = masking(ids, special.astype(bool), words, rows=flat, epoch=epoch)
    arrays: dict[str, Any] = {
        "ids": found.ids.astype(np.int32),
        "types": np.zeros_like(ids, np.int32),
        "lengths": lengths,
        "at": found.positions,
        "labels": found.labels.astype(np.int32),
        "weights": found.weights,
    }
    if packed:
        arrays["segments"], _ = rows.segments.gather(flat, block.length)
    return {name: array.reshape(*block.indices.shape, *array.shape[1:]) for name, array in arrays.items()}
