# SPDX-License-Identifier: BSD-2-Clause
"""The ids of the characters of each word."""

from collections import Counter
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.saved_settings import load_settings, save_settings
from spago_jax.errors import InputError
from spago_jax.text.vocabulary import Vocabulary

_LONGEST = 1 << 16  # characters per word, at most


class CharacterIndexer(TokenIndexer):
    """The ids of a token's characters; of a long word the first two thirds and the last third of the room.

    Args:
        name: of its arrays in a batch, ``NAME`` and ``NAME_lengths``.
        alphabet: the known characters; id 0 is padding and id 1 the unknown character.
        max_length: room for so many characters.
    """

    kind: ClassVar[str] = "characters"

    def __init__(self, name: str, alphabet: Vocabulary, max_length: int):
        self.name, self.alphabet, self.max_length = name, alphabet, max_length

    @classmethod
    def fit(cls, name: str, lexicon: Lexicon, *, max_length: int, min_count: int = 1) -> Self:
        """Counts the characters of the training data."""
        counts: Counter[str] = Counter()
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            counts.update({char: n * count for char, n in Counter(form).items()})
        return cls(name, Vocabulary.from_counts(counts, min_count=min_count), max_length)

    def extended(self, lexicon: Lexicon, *, min_count: int = 1) -> "CharacterIndexer":
        """Adds the characters that were unknown."""
        return type(self)(
            self.name, self.alphabet.extended(sorted({c for form in lexicon for c in form})), self.max_length
        )

    @property
    def size(self) -> int:
        """The number of characters, padding and the unknown character among them."""
        return len(self.alphabet)

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The characters of each form, uint16 [forms + 1, max_length], and their number, int32 [forms + 1]."""
        points = lexicon.code_points()
        values = points.values.astype(np.int64)
        table = np.full(int(values.max(initial=0)) + 1, self.alphabet.unknown_id, np.uint16)
        for number, char in enumerate(self.alphabet):
            if len(char) == 1 and ord(char) < len(table):
                table[ord(char)] = number
        lengths = points.lengths
        width = self.max_length
        head = width - width // 3
        # Of a long word the beginning and the end say more than the middle.
        position = np.arange(width)
        starts = points.offsets[:-1, None]
        beyond = np.maximum(lengths - width, 0)[:, None]
        at = starts + position + np.where(position >= head, beyond, 0)
        held = position < np.minimum(lengths, width)[:, None]
        ids = np.zeros((len(lengths) + 1, width), np.uint16)
        if len(lengths):
            ids[:-1][held] = table[values[at[held]]]
        sizes = np.append(np.minimum(lengths, width), 0).astype(np.int32)
        return {self.name: ids, f"{self.name}_lengths": sizes}

    def specs(self) -> dict[str, str]:
        """The characters of each token, and how many there are."""
        return {self.name: f"i32[batch, time, {self.max_length}]", f"{self.name}_lengths": "i32[batch, time]"}

    def save(self, folder: Path) -> None:
        """Writes ``NAME.json`` (the characters) and ``NAME.settings.json``."""
        self.alphabet.save(folder / f"{self.name}.json")
        save_settings(folder, self.name, max_length=self.max_length)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        settings = load_settings(folder, name, max_length=int)
        if not 1 <= settings["max_length"] <= _LONGEST:
            path = folder / f"{name}.settings.json"
            raise InputError(f"max_length = {settings['max_length']}, expected 1 to {_LONGEST:,}", path=path)
        return cls(name, Vocabulary.load(folder / f"{name}.json"), **settings)
