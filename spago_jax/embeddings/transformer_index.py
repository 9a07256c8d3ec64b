# SPDX-License-Identifier: BSD-2-Clause
"""The host half of a pre-trained encoder as an embedding of tokens: words to pieces, in the order of the sentence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.neighbors import Neighbors
from spago_jax.embeddings.saved_settings import settings_of, write_settings
from spago_jax.errors import InputError
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer

MOST_PIECES = 24
"""Pieces of a word beyond this are left out: such words are links and noise."""
MOST_WINDOWS = 4
"""What is read in windows is as long as so many of them side by side, at most."""
SMALLEST_WINDOW = 8


class TransformerIndexer(TokenIndexer):
    """Cuts every form into pieces once, and lays those of a sentence side by side.

    Args:
        name: the name of its arrays in a batch.
        tokenizer: that of the encoder.
        config: the ``config.json`` of the encoder, from which its device half is made again.
        longest: the most pieces that the encoder reads, special ones among them.
        most: pieces of a word beyond this are left out.
        context: how many words of the sentences before and after a sentence are read too.
        separator: the token that stands on both sides of a sentence, between it and its context; None for none.
        truncate: of a sentence that is too long, read the first pieces and not the first ones of each word.
        windows: of what has more pieces than ``longest``, read windows of as many, up to ``MOST_WINDOWS`` times.

    Attributes:
        window: how many pieces are read together, where there are windows.
        longest: the most pieces of a sentence and its context.

    Raises:
        InputError: for a separator that the tokenizer lacks, and for windows that are too small, or of a tokenizer that
            does not put one special piece at each end of a text.
    """

    kind: ClassVar[str] = "transformer"

    def __init__(
        self,
        name: str,
        tokenizer: SubwordTokenizer,
        config: Mapping[str, Any],
        longest: int,
        *,
        most: int = MOST_PIECES,
        context: int = 0,
        separator: str | None = None,
        truncate: bool = False,
        windows: bool = False,
    ):
        self.name, self.tokenizer, self.config = name, tokenizer, dict(config)
        self.window = longest if windows else None
        self.longest = self._longest = longest * (MOST_WINDOWS if windows else 1)
        self.most, self.context, self.separator, self.truncate = most, context, separator, truncate
        mark = None if separator is None else tokenizer.id(separator)
        if separator is not None and mark is None:
            raise InputError(f"separator: the tokenizer has no token {separator!r}")
        self._mark = np.array([] if mark is None else [mark], np.int32)
        layout = tokenizer.layout(False)
        (text,) = (place for place, slot in enumerate(layout) if slot.sequence is not None)
        self._before = np.array([slot.id for slot in layout[:text]], np.int32)
        self._after = np.array([slot.id for slot in layout[text + 1 :]], np.int32)
        if windows and (len(self._before), len(self._after)) != (1, 1):
            raise InputError(
                f"windows: the tokenizer puts {len(self._before)} and {len(self._after)} special pieces around a text, "
                "expected one at each end"
            )
        if windows and longest < SMALLEST_WINDOW:
            raise InputError(f"windows of {longest} pieces, expected {SMALLEST_WINDOW} at least")

    @property
    def size(self) -> int:
        """The number of ids of the encoder's vocabulary."""
        return self.tokenizer.size

    @property
    def marks(self) -> int:
        """How many special tokens stand around a sentence, separators among them."""
        return len(self._before) + len(self._after) + 2 * len(self._mark)

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The pieces of each form, -1 beyond them: int32 [forms + 1, pieces].

        As a later word of a sentence, and as its first word, which byte-level tokenizers cut another way.
        """
        forms = list(lexicon)
        later = self._cut(["a", *forms])[1:] if forms else []
        first = [self._cut([form])[0] for form in forms] if self._first_differs(forms) else later
        width = max((len(pieces) for pieces in [*later, *first]), default=1)
        return {self.name: _padded(later, width), f"{self.name}_first_word": _padded(first, width)}

    def _first_differs(self, forms: Sequence[str]) -> bool:
        return any(self._cut([form])[0] != self._cut(["a", form])[1] for form in forms[:20])

    def _cut(self, words: Sequence[str]) -> list[list[int]]:
        found = self.tokenizer.cut_words(words)
        pieces: list[list[int]] = [[] for _ in words]
        for id, word in zip(found.ids, found.word_ids, strict=True):
            if len(pieces[word]) < self.most:
                pieces[word].append(id)
        return pieces

    def positions(self, tables: Mapping[str, np.ndarray], forms: RaggedArray) -> np.ndarray:
        """How many pieces each sentence has, special ones among them: int64 [n]."""
        return self._positions(tables, forms, forms.offsets[:-1], forms.offsets[1:])

    def positions_among(self, tables: Mapping[str, np.ndarray], neighbors: Neighbors) -> np.ndarray:
        """The same with the pieces of its context."""
        return self._positions(tables, neighbors.forms, *neighbors.bounds(self.context))

    def _positions(
        self, tables: Mapping[str, np.ndarray], forms: RaggedArray, begin: np.ndarray, end: np.ndarray
    ) -> np.ndarray:
        counts = (tables[self.name] >= 0).sum(-1)[np.asarray(forms.values)]
        ends = np.concatenate([[0], np.cumsum(counts)])
        return np.minimum(ends[end] - ends[begin] + self.marks, self._longest)

    def arrays(self, tables: Mapping[str, np.ndarray], forms: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """The ids of a batch's pieces [..., length], and where in them the pieces of each word are [..., time]."""
        nothing = (np.zeros(0, np.int32), np.zeros(0, np.int32))
        return self._arrays(tables, forms, length, [nothing] * int(np.prod(forms.shape[:-1])))

    def arrays_among(
        self,
        tables: Mapping[str, np.ndarray],
        forms: np.ndarray,
        length: int,
        neighbors: Neighbors,
        indices: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """The same with the pieces of its context: of the words nearest to a sentence, as many as there is room for."""
        around = [neighbors.around(row, self.context) for row in np.asarray(indices).reshape(-1).tolist()]
        return self._arrays(tables, forms, length, around)

    def _arrays(
        self,
        tables: Mapping[str, np.ndarray],
        forms: np.ndarray,
        length: int,
        around: Sequence[tuple[np.ndarray, np.ndarray]],
    ) -> dict[str, np.ndarray]:
        table, first = tables[self.name], tables[f"{self.name}_first_word"]
        pieces = table[forms]
        flat = pieces.reshape(-1, *pieces.shape[-2:])
        for words, row, (before, _) in zip(flat, forms.reshape(-1, forms.shape[-1]), around, strict=True):
            if not len(before):
                words[0] = first[row[0]]
        ids = np.full((len(flat), length), self.tokenizer.special_ids.get("pad", 0), np.int32)
        lengths = np.zeros(len(flat), np.int32)
        starts, counts = np.zeros(flat.shape[:2], np.int32), np.zeros(flat.shape[:2], np.int32)
        room = min(length, self._longest) - self.marks
        for row, (words, (before, after)) in enumerate(zip(flat, around, strict=True)):
            held = self._fitting(words >= 0, room)
            count = held.sum(-1)
            total = int(count.sum())
            if not total:
                continue
            left, right = table[before], table[after]
            left[:1] = first[before[:1]]
            left, right = _nearest(left[left >= 0], right[right >= 0], room - total)
            laid = np.concatenate(
                [self._before, left, self._mark, words[held], self._mark, right, self._after]
            )  # fmt: skip
            ids[row, : len(laid)] = laid
            lengths[row] = len(laid)
            counts[row] = count
            starts[row] = len(self._before) + len(left) + len(self._mark) + np.cumsum(count) - count
        shape, time = pieces.shape[:-2], pieces.shape[-2]
        return {
            self.name: ids.reshape(*shape, length),
            f"{self.name}_lengths": lengths.reshape(shape),
            f"{self.name}_starts": np.where(counts > 0, starts, 0).reshape(*shape, time),
            f"{self.name}_counts": counts.reshape(*shape, time),
        }

    def _fitting(self, held: np.ndarray, room: int) -> np.ndarray:
        """Which pieces are read: of a sentence that is too long for the encoder, the first ones of each word."""
        if self.truncate:
            return held & (np.cumsum(held).reshape(held.shape) <= room)
        most = held.shape[-1]
        while most > 1 and int(held[:, :most].sum()) > room:
            most -= 1
        held = held.copy()
        held[:, most:] = False
        if int(held.sum()) > room:
            raise InputError(
                f"a sentence of {int(held.any(-1).sum())} words, and the encoder reads {room} pieces: "
                f"lower train.max_length"
            )
        return held

    def reading(self) -> dict[str, Any]:
        """How sentences are cut into pieces, and what stands around them."""
        return {
            "tokenizer": self.tokenizer.settings(), "config": self.config, "longest": self.longest, "most": self.most,
            "separator": self.separator, "truncate": self.truncate, "window": self.window,
        }  # fmt: skip

    def specs(self) -> dict[str, str]:
        """Ids of pieces, and the places of words among them."""
        return {
            self.name: "i32[batch, time]",
            f"{self.name}_lengths": "i32[batch]",
            f"{self.name}_starts": "i32[batch, time]",
            f"{self.name}_counts": "i32[batch, time]",
        }

    def save(self, folder: Path) -> None:
        """Writes the tokenizer's files into ``NAME.tokenizer``, and the encoder's config as ``NAME.config.json``."""
        self.tokenizer.save(folder / f"{self.name}.tokenizer")
        settings = {
            "longest": self.window or self.longest, "config": self.config, "most": self.most, "context": self.context,
            "separator": self.separator, "truncate": self.truncate,
        } | ({} if self.window is None else {"windows": True})  # fmt: skip
        write_settings(folder / f"{self.name}.config.json", settings)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        with settings_of(folder / f"{name}.config.json") as found:
            longest, config = int(found["longest"]), dict(found["config"])
            most, context = int(found.get("most", MOST_PIECES)), int(found.get("context", 0))
            separator, truncate = found.get("separator"), bool(found.get("truncate", False))
            windows = bool(found.get("windows", False))
        tokenizer = load_tokenizer(folder / f"{name}.tokenizer")
        return cls(
            name, tokenizer, config, longest, most=most, context=context, separator=separator, truncate=truncate,
            windows=windows,
        )  # fmt: skip


def _nearest(left: np.ndarray, right: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """The last pieces of what stands before a sentence and the first ones of what stands after it, half of each.

    >>> _nearest(np.arange(4), np.arange(2), 4)
    (array([2, 3]), array([0, 1]))
    """
    after = min(len(right), max(room // 2, room - len(left)))
    before = min(len(left), room - after)
    return left[len(left) - before :], right[:after]


def _padded(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Rows of unequal length with -1 beyond their ends, and a last row for padding."""
    found = np.full((len(rows) + 1, width), -1, np.int32)
    for number, row in enumerate(rows):
        found[number, : len(row)] = row
    return found
