# SPDX-License-Identifier: BSD-2-Clause
"""The ids of words."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.errors import InputError
from spago_jax.text.vocabulary import Vocabulary
from spago_jax.text.words import normalise

_DIGIT = re.compile(r"\d")


class WordIndexer(TokenIndexer):
    """One id per token: the word as it stands, else in lower case, else with its digits as zeros, else unknown.

    Args:
        name: of its array in a batch.
        vocabulary: the known words; id 0 is padding and id 1 the unknown word.
        lowercase: look words up in lower case only.
        look_up: ``own``, or ``flair`` for its rules: as it stands, in lower case, then with each digit as ``#`` or 0.

    Attributes:
        vectors: given vectors, until the table of the model is made from them.
        given: the words with a given vector.
        case_fallback: whether a word without one has that of its lower-cased form.
    """

    kind: ClassVar[str] = "words"

    def __init__(self, name: str, vocabulary: Vocabulary, lowercase: bool = False, look_up: str = "own"):
        self.name, self.vocabulary, self.lowercase, self.look_up = name, vocabulary, lowercase, look_up
        self.vectors: WordVectors | None = None
        self.given: frozenset[str] = frozenset()
        self.case_fallback = False

    @classmethod
    def fit(
        cls,
        name: str,
        lexicon: Lexicon,
        *,
        lowercase: bool = False,
        min_count: int = 1,
        max_words: int = 200_000,
        vectors: WordVectors | None = None,
        case_fallback: bool | None = None,
        look_up: str = "own",
    ) -> Self:
        """Counts the forms of the training data; words with a given vector are known whatever their count.

        ``case_fallback`` is as for ``use``.
        """
        counts: Counter[str] = Counter()
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            counts[form.lower() if lowercase else form] += count
        known = {word: count for word, count in counts.items() if count >= min_count}
        for word in () if vectors is None else vectors.words:
            if len(known) >= max_words:
                break
            known.setdefault(word, counts.get(word, 0) or 1)
        made = cls(name, Vocabulary.from_counts(known, max_size=max_words + 2), lowercase, look_up)
        if vectors is not None:
            made.use(vectors, case_fallback)
        return made

    def extended(self, lexicon: Lexicon, *, min_count: int = 1) -> "WordIndexer":
        """Adds the words that were unknown and occur ``min_count`` times, the most frequent first."""
        counts: Counter[str] = Counter()
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            if self.id(form) == self.vocabulary.unknown_id:
                counts[form.lower() if self.lowercase else form] += count
        new = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        return type(self)(self.name, self.vocabulary.extended(new), self.lowercase, self.look_up)

    def use(self, vectors: WordVectors, case_fallback: bool | None = None) -> None:
        """Keeps given vectors, for the table of the model to be made from.

        Args:
            vectors: the vectors.
            case_fallback: give words without a vector that of their lower-cased form; by default where no word of
                the vectors has a capital, so that they know one form of each word only.
        """
        self.vectors, self.given = vectors, frozenset(vectors.words)
        self.case_fallback = vectors.uncased if case_fallback is None else case_fallback

    def given_word(self, word: str) -> str | None:
        """The word whose given vector a word of the vocabulary has, or None."""
        if word in self.given:
            return word
        return word.lower() if self.case_fallback and word.lower() in self.given else None

    @property
    def size(self) -> int:
        """The number of words, padding and the unknown word among them."""
        return len(self.vocabulary)

    def word(self, form: str) -> str | None:
        """The word of the vocabulary that a form is read as, or None for the unknown word."""
        word = form.lower() if self.lowercase else form
        lower = form.lower()
        if self.look_up == "flair":
            variants = (word, lower, _DIGIT.sub("#", lower), _DIGIT.sub("0", lower))
        else:
            variants = (word, lower, normalise(form, lower=self.lowercase))
        for variant in variants:
            if variant in self.vocabulary:
                return variant
        return None

    def id(self, form: str) -> int:
        """The id of a form."""
        word = self.word(form)
        return (self.vocabulary.unknown_id or 0) if word is None else self.vocabulary.id(word)

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The id of each form, int32 [forms + 1]."""
        return {self.name: np.array([self.id(form) for form in lexicon] + [0], np.int32)}

    def specs(self) -> dict[str, str]:
        """One id per token."""
        return {self.name: "i32[batch, time]"}

    def unknown_probability(self, lexicon: Lexicon, rate: float) -> np.ndarray:
        """``a / (a + count)`` for words of the training data, 0 for others (Kiperwasser and Goldberg, 2016)."""
        counts = np.zeros(self.size, np.float64)
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            counts[self.id(form)] += count
        probability = np.where(counts > 0, rate / (rate + np.maximum(counts, 1e-9)) if rate else 0.0, 0.0)
        probability[:2] = 0.0
        return probability.astype(np.float32)

    def save(self, folder: Path) -> None:
        """Writes ``NAME.json`` (the words) and ``NAME.settings.json``."""
        self.vocabulary.save(folder / f"{self.name}.json")
        others = {} if self.look_up == "own" else {"look_up": self.look_up}
        save_settings(folder, self.name, lowercase=self.lowercase, **others)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        return cls(
            name,
            Vocabulary.load(folder / f"{name}.json"),
            **load_settings(folder, name, {"look_up": str}, lowercase=bool),
        )


def save_settings(folder: Path, name: str, **settings: object) -> None:
    """Writes the settings of an indexer beside its vocabulary."""
    (folder / f"{name}.settings.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def load_settings(folder: Path, name: str, optional: Mapping[str, type] | None = None, /, **kinds: type) -> dict:
    """Reads the settings of an indexer, each of which has to be of its type; those of ``optional`` may be absent.

    Raises:
        InputError: where they are missing or damaged.
    """
    path = folder / f"{name}.settings.json"
    try:
        found = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"the assets cannot be read: {error}", path=path) from None
    kinds |= {key: kind for key, kind in (optional or {}).items() if key in found}
    if {key: type(value) for key, value in found.items()} != kinds:
        wanted = ", ".join(f"{key}: {kind.__name__}" for key, kind in kinds.items())
        raise InputError(f"the assets cannot be read: {found}, expected {wanted}", path=path)
    return found
