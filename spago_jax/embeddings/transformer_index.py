# SPDX-License-Identifier: BSD-2-Clause
"""The host half of a pre-trained encoder as an embedding of tokens: words to pieces, in the order of the sentence."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.errors import InputError
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer

MOST_PIECES = 24
"""Pieces of a word beyond this are left out: such words are links and noise."""


class TransformerIndexer(TokenIndexer):
    """Cuts every form into pieces once, and lays those of a sentence side by side.

    Args:
        name: the name of its arrays in a batch.
        tokenizer: that of the encoder.
        config: the ``config.json`` of the encoder, from which its device half is made again.
        longest: the most pieces that the encoder reads, special ones among them.
    """

    kind: ClassVar[str] = "transformer"

    def __init__(self, name: str, tokenizer: SubwordTokenizer, config: Mapping[str, Any], longest: int):
        self.name, self.tokenizer, self.config = name, tokenizer, dict(config)
        self.longest = self._longest = longest
        layout = tokenizer.layout(False)
        (text,) = (place for place, slot in enumerate(layout) if slot.sequence is not None)
        self._before = np.array([slot.id for slot in layout[:text]], np.int32)
        self._after = np.array([slot.id for slot in layout[text + 1 :]], np.int32)

    @property
    def size(self) -> int:
        """The number of ids of the encoder's vocabulary."""
        return self.tokenizer.size

    @property
    def marks(self) -> int:
        """How many special tokens stand around a sentence."""
        return len(self._before) + len(self._after)

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
            if len(pieces[word]) < MOST_PIECES:
                pieces[word].append(id)
        return pieces

    def positions(self, tables: Mapping[str, np.ndarray], forms: RaggedArray) -> np.ndarray:
        """How many pieces each sentence has, special ones among them: int64 [n]."""
        counts = (tables[self.name] >= 0).sum(-1)[np.asarray(forms.values)]
        ends = np.concatenate([[0], np.cumsum(counts)])[forms.offsets]
        return np.minimum(np.diff(ends) + self.marks, self._longest)

    def arrays(self, tables: Mapping[str, np.ndarray], forms: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """The ids of a batch's pieces [..., length], and where in them the pieces of each word are [..., time]."""
        pieces = tables[self.name][forms]
        pieces[..., 0, :] = tables[f"{self.name}_first_word"][forms[..., 0]]
        flat = pieces.reshape(-1, *pieces.shape[-2:])
        ids = np.full((len(flat), length), self.tokenizer.special_ids.get("pad", 0), np.int32)
        lengths = np.zeros(len(flat), np.int32)
        starts, counts = np.zeros(flat.shape[:2], np.int32), np.zeros(flat.shape[:2], np.int32)
        before, room = len(self._before), min(length, self._longest) - self.marks
        for row, words in enumerate(flat):
            held = self._fitting(words >= 0, room)
            count = held.sum(-1)
            total = int(count.sum())
            if not total:
                continue
            ids[row, :before] = self._before
            ids[row, before : before + total] = words[held]
            ids[row, before + total : self.marks + total] = self._after
            lengths[row] = total + self.marks
            counts[row] = count
            starts[row] = before + np.cumsum(count) - count
        shape, time = pieces.shape[:-2], pieces.shape[-2]
        return {
            self.name: ids.reshape(*shape, length),
            f"{self.name}_lengths": lengths.reshape(shape),
            f"{self.name}_starts": np.where(counts > 0, starts, 0).reshape(*shape, time),
            f"{self.name}_counts": counts.reshape(*shape, time),
        }

    def _fitting(self, held: np.ndarray, room: int) -> np.ndarray:
        """Which pieces are read: of a sentence that is too long for the encoder, the first ones of each word."""
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
        settings = {"longest": self.longest, "config": self.config}
        (folder / f"{self.name}.config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        path = folder / f"{name}.config.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            longest, config = int(found["longest"]), dict(found["config"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"the assets cannot be read: {error}", path=path) from None
        return cls(name, load_tokenizer(folder / f"{name}.tokenizer"), config, longest)


def _padded(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Rows of unequal length with -1 beyond their ends, and a last row for padding."""
    found = np.full((len(rows) + 1, width), -1, np.int32)
    for number, row in enumerate(rows):
        found[number, : len(row)] = row
    return found
