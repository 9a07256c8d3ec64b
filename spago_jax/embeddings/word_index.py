# SPDX-License-Identifier: BSD-2-Clause
"""The ids of words."""

from collections import Counter
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.lookup import found_form
from spago_jax.embeddings.part_rows import PartRows, load_parts, save_parts
from spago_jax.embeddings.saved_settings import load_settings, save_settings
from spago_jax.embeddings.word_vectors import WordVectors
from spago_jax.text.vocabulary import Vocabulary
from spago_jax.text.words import normalise


class WordIndexer(TokenIndexer):
    """One id per token: the word as it stands, else in lower case, else with its digits as zeros, else unknown.

    With ``parts`` an unknown word that has a known part has the vector composed of them instead.

    Args:
        name: of its array in a batch.
        vocabulary: the known words; id 0 is padding and id 1 the unknown word.
        lowercase: look words up in lower case only.
        match: how a form is found among the words, see ``lookup.variants``; None for the rule above.
        parts: composes the vectors of unknown words, or None.

    Attributes:
        vectors: given vectors, until the table of the model is made from them.
        given: the words with a given vector.
        composed: the words of the vocabulary whose given vector is made of those of their parts.
        rule: how the given vector of a word is looked up.
    """

    kind: ClassVar[str] = "words"

    def __init__(
        self,
        name: str,
        vocabulary: Vocabulary,
        lowercase: bool = False,
        match: str | None = None,
        parts: PartRows | None = None,
    ):
        self.name, self.vocabulary, self.lowercase, self.match = name, vocabulary, lowercase, match
        self.parts = parts
        self.vectors: WordVectors | None = None
        self.given: frozenset[str] = frozenset()
        self.composed: frozenset[str] = frozenset()
        self.rule = "exact"

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
        lookup: str | None = None,
    ) -> Self:
        """Counts the forms of the training data; words with a given vector are known whatever their count.

        ``lookup`` is as for ``use``.
        """
        counts: Counter[str] = Counter()
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            counts[form.lower() if lowercase else form] += count
        known = {word: count for word, count in counts.items() if count >= min_count}
        if vectors is not None:
            for word in vectors.words:
                if len(known) >= max_words:
                    break
                if not vectors.broken or _is_unicode(word):
                    known.setdefault(word, counts.get(word, 0) or 1)
        match = "digits" if lookup == "digits" else None
        made = cls(name, Vocabulary.from_counts(known, max_size=max_words + 2), lowercase, match)
        if vectors is not None:
            made.use(vectors, lookup)
        return made

    def extended(self, lexicon: Lexicon, *, min_count: int = 1) -> "WordIndexer":
        """Adds the words that were unknown and occur ``min_count`` times, the most frequent first."""
        counts: Counter[str] = Counter()
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            if self.id(form) == self.vocabulary.unknown_id:
                counts[form.lower() if self.lowercase else form] += count
        new = sorted((word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w))
        return type(self)(self.name, self.vocabulary.extended(new), self.lowercase, self.match, self.parts)

    def use(self, vectors: WordVectors, lookup: str | None = None) -> None:
        """Keeps given vectors, for the table of the model to be made from.

        Args:
            vectors: the vectors.
            lookup: the rule by which the vector of a word is found, see ``lookup.variants``; by default ``lower`` where
                no word of the vectors has a capital, so that they know one form of each word only, else ``exact``.
        """
        self.vectors, self.given = vectors, frozenset(vectors.words)
        self.rule = ("lower" if vectors.uncased else "exact") if lookup is None else lookup
        if vectors.subwords is not None:
            others = [word for word in self.vocabulary if self.given_word(word) is None]
            _, known = vectors.subwords.compose(others)
            self.composed = frozenset(word for word, has in zip(others, known.tolist(), strict=True) if has)

    def given_word(self, word: str) -> str | None:
        """The word whose given vector a word of the vocabulary has, or None."""
        return found_form(word, self.rule, self.given)

    @property
    def size(self) -> int:
        """The number of words, padding and the unknown word among them."""
        return len(self.vocabulary)

    def word(self, form: str) -> str | None:
        """The word of the vocabulary that a form is read as, or None for the unknown word."""
        word = form.lower() if self.lowercase else form
        if self.match is not None:
            return found_form(word, self.match, self.vocabulary)
        for variant in (word, form.lower(), normalise(form, lower=self.lowercase)):
            if variant in self.vocabulary:
                return variant
        return None

    def id(self, form: str) -> int:
        """The id of a form."""
        word = self.word(form)
        return (self.vocabulary.unknown_id or 0) if word is None else self.vocabulary.id(word)

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The id of each form, int32 [forms + 1]; with ``parts`` also ``NAME_parts``, float32 [forms + 1, dimensions].

        A form that is read by its parts has the id 0, whose vector is zeros, and others have zeros for their parts.
        """
        ids = np.array([self.id(form) for form in lexicon] + [0], np.int32)
        if self.parts is None:
            return {self.name: ids}
        vectors = np.zeros((len(ids), self.parts.rows.shape[1]), np.float32)  # rows of zeros that take no memory
        places, made = self.read_by_parts(list(lexicon))
        vectors[places], ids[places] = made, 0
        return {self.name: ids, f"{self.name}_parts": vectors}

    def read_by_parts(self, forms: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The places of unknown forms that have a known part, int [n], and the vectors of these, [n, dimensions]."""
        if self.parts is None:
            return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
        places = np.array([place for place, form in enumerate(forms) if self.word(form) is None], np.int64)
        unknown = [forms[place] for place in places.tolist()]
        made, known = self.parts.compose([form.lower() if self.lowercase else form for form in unknown])
        return places[known], made[known]

    def specs(self) -> dict[str, str]:
        """One id per token, and with ``parts`` one vector per token."""
        if self.parts is None:
            return {self.name: "i32[batch, time]"}
        return {self.name: "i32[batch, time]", f"{self.name}_parts": f"f32[batch, time, {self.parts.rows.shape[1]}]"}

    @property
    def kept_bytes(self) -> int:
        """The rows of n-grams."""
        return 0 if self.parts is None else 4 * self.parts.rows.size

    def unknown_probability(self, lexicon: Lexicon, rate: float) -> np.ndarray:
        """``a / (a + count)`` for words of the training data, 0 for others (Kiperwasser and Goldberg, 2016)."""
        counts = np.zeros(self.size, np.float64)
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            counts[self.id(form)] += count
        probability = np.where(counts > 0, rate / (rate + np.maximum(counts, 1e-9)) if rate else 0.0, 0.0)
        probability[:2] = 0.0
        return probability.astype(np.float32)

    def save(self, folder: Path) -> None:
        """Writes ``NAME.json`` (the words) and ``NAME.settings.json``, and the rows of ``parts``."""
        self.vocabulary.save(folder / f"{self.name}.json")
        others = {} if self.match is None else {"match": self.match}
        save_settings(folder, self.name, lowercase=self.lowercase, **others)
        if self.parts is not None:
            save_parts(self.parts, folder, self.name)

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        return cls(
            name,
            Vocabulary.load(folder / f"{name}.json"),
            **load_settings(folder, name, {"match": str}, lowercase=bool),
            parts=load_parts(folder, name),
        )


def _is_unicode(word: str) -> bool:
    """Whether a word has no bytes that are not UTF-8, which no text can hold."""
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
