# SPDX-License-Identifier: BSD-2-Clause
"""From token forms to the numbers that a token encoder reads."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.errors import InputError
from spago_jax.models.tokens.config import TokensConfig
from spago_jax.text.vocabulary import Vocabulary
from spago_jax.text.words import normalise, word_shape


@dataclasses.dataclass(frozen=True)
class FormTables:
    """What each form of a lexicon looks like to the model; one row a form, and a last row for padding."""

    words: np.ndarray
    characters: np.ndarray
    character_lengths: np.ndarray
    shapes: np.ndarray

    def batch(self, forms: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of padded form ids (-1 is padding), any leading axes."""
        return {
            "words": self.words[forms],
            "characters": self.characters[forms],
            "character_lengths": self.character_lengths[forms],
            "shapes": self.shapes[forms],
            "lengths": lengths,
        }


@dataclasses.dataclass(frozen=True)
class Features:
    """The vocabularies of words, characters and word shapes, made from training data."""

    words: Vocabulary
    alphabet: Vocabulary
    shapes: Vocabulary
    lowercase: bool
    max_characters: int

    @classmethod
    def build(cls, lexicon: Lexicon, config: TokensConfig, vector_words: Iterable[str] = ()) -> "Features":
        """Counts the forms of the training data; words with a given vector are known whatever their count."""
        words: Counter[str] = Counter()
        characters: Counter[str] = Counter()
        shapes: Counter[str] = Counter()
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            words[_word(form, config.words.lowercase)] += count
            characters.update({char: n * count for char, n in Counter(form).items()})
            shapes[word_shape(form)] += count
        known = {word: count for word, count in words.items() if count >= config.words.min_count}
        for word in vector_words:
            if len(known) >= config.words.max_words:
                break
            known.setdefault(word, words.get(word, 0) or 1)
        return cls(
            words=Vocabulary.from_counts(known, max_size=config.words.max_words + 2),
            alphabet=Vocabulary.from_counts(characters, min_count=config.characters.min_count),
            shapes=Vocabulary.from_counts(shapes, min_count=5, max_size=500),
            lowercase=config.words.lowercase,
            max_characters=config.characters.max_length,
        )

    @property
    def sizes(self) -> dict[str, int]:
        """The number of words, characters and shapes, as ``TokenEncoder.init`` takes them."""
        return {"words": len(self.words), "alphabet": len(self.alphabet), "shapes": len(self.shapes)}

    def tables(self, lexicon: Lexicon) -> FormTables:
        """Looks every form of a lexicon up, once."""
        forms = list(lexicon)
        words = np.array([self.word_id(form) for form in forms] + [0], np.int32)
        shapes = np.append(self.shapes.encode([word_shape(form) for form in forms]), 0).astype(np.int32)
        characters, lengths = self._characters(lexicon)
        return FormTables(words, characters, lengths, shapes)

    def word_id(self, form: str) -> int:
        """The id of a form: as it stands, in lower case, or with its digits as zeros; else unknown."""
        unknown = self.words.unknown_id or 0
        for variant in (_word(form, self.lowercase), form.lower(), normalise(form, lower=self.lowercase)):
            if variant in self.words:
                return self.words.id(variant)
        return unknown

    def unknown_probability(self, lexicon: Lexicon, rate: float) -> np.ndarray:
        """``a / (a + count)`` for words of the training data, 0 for others (Kiperwasser and Goldberg, 2016)."""
        counts = np.zeros(len(self.words), np.float64)
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            counts[self.word_id(form)] += count
        probability = np.where(counts > 0, rate / (rate + np.maximum(counts, 1e-9)) if rate else 0.0, 0.0)
        probability[:2] = 0.0
        return probability.astype(np.float32)

    def _characters(self, lexicon: Lexicon) -> tuple[np.ndarray, np.ndarray]:
        points = lexicon.code_points()
        values = points.values.astype(np.int64)
        table = np.full(int(values.max(initial=0)) + 1, self.alphabet.unknown_id, np.uint16)
        for number, char in enumerate(self.alphabet):
            if len(char) == 1 and ord(char) < len(table):
                table[ord(char)] = number
        lengths = points.lengths
        width = self.max_characters
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
        return ids, np.append(np.minimum(lengths, width), 0).astype(np.int32)

    def save(self, folder: Path) -> None:
        """Writes the vocabularies into a folder."""
        self.words.save(folder / "words.json")
        self.alphabet.save(folder / "characters.json")
        self.shapes.save(folder / "shapes.json")
        rest = {"lowercase": self.lowercase, "max_characters": self.max_characters}
        (folder / "features.json").write_text(json.dumps(rest, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Features":
        """Reads what ``save`` wrote."""
        try:
            rest = json.loads((folder / "features.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"the run's assets cannot be read: {error}", path=folder / "features.json") from None
        return cls(
            words=Vocabulary.load(folder / "words.json"),
            alphabet=Vocabulary.load(folder / "characters.json"),
            shapes=Vocabulary.load(folder / "shapes.json"),
            lowercase=rest["lowercase"],
            max_characters=rest["max_characters"],
        )


def _word(form: str, lowercase: bool) -> str:
    return form.lower() if lowercase else form
