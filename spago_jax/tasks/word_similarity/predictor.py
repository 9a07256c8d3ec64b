# SPDX-License-Identifier: BSD-2-Clause
"""WordSimilarity: the predictor of ``word-similarity``."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.processor import Answer, Findings, Paint
from spago_jax.embeddings.lookup import Rule
from spago_jax.embeddings.nearest import NearestWords
from spago_jax.errors import InputError
from spago_jax.interop.huggingface.locate import Download
from spago_jax.tasks.predictor import Predictor


@dataclasses.dataclass(frozen=True)
class SimilarWord:
    """A word, and the cosine of its vector and what it was found for."""

    word: str
    score: float


@dataclasses.dataclass(frozen=True)
class SimilarWords(Answer, Findings[SimilarWord]):
    """The nearest words to one, or the answers to an analogy, which it is a sequence of."""

    words: tuple[str, ...]
    nearest: tuple[SimilarWord, ...]
    line: int = 0

    @property
    def findings(self) -> tuple[SimilarWord, ...]:
        """The words that were found."""
        return self.nearest

    def to_dict(self) -> dict[str, Any]:
        """The words asked for, and those found."""
        return {"words": list(self.words), "nearest": [dataclasses.asdict(word) for word in self.nearest]}

    def to_text(self, paint: Paint | None = None) -> str:
        """One word per line, after its score and a tab."""
        return "".join(f"{each.score:.4f}\t{each.word}\n" for each in self.nearest)


@dataclasses.dataclass(frozen=True)
class WordPair(Answer):
    """How similar two words are: the cosine of their vectors."""

    words: tuple[str, ...]
    similarity: float
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The words and the number."""
        return {"words": list(self.words), "similarity": self.similarity}

    def to_text(self, paint: Paint | None = None) -> str:
        """The number, and the words after it."""
        return f"{self.similarity:.4f}\t{' '.join(self.words)}\n"


class SimilarityOptions(Section):
    """How many words are found."""

    top_k: PositiveInt = Field(default=10, description="how many words are listed")


class SimilaritySettings(Section):
    """How vectors are read."""

    rule: Rule = Field(default="lower", description="how words are looked up: exact, lower or digits (see vectors.md)")
    format: str | None = Field(default=None, description="of the file; by default the file shows it")


class WordSimilarity(Predictor):
    """One word: those nearest to it. Two: how similar they are. Three, a, b and c: what is to c as b is to a.

    Args:
        words: the vectors.
    """

    Options = SimilarityOptions
    Settings = SimilaritySettings

    def __init__(self, words: NearestWords):
        self.name, self.words = "word-similarity", words
        self.processor: Any = _Words()

    @classmethod
    def open(
        cls,
        source: str | Path,
        *,
        rule: Rule = "lower",
        format: str | None = None,
        dtype: str = "float32",
        download: Download = "never",
    ) -> Self:
        """Opens a file of word vectors, or a store.

        Args:
            source: its path.
            rule: how words are looked up.
            format: of the file; by default the file shows it.
            dtype: float32 alone, as in every file of vectors; there for commands that open any task.
            download: nothing is ever downloaded; likewise.

        Raises:
            InputError: where it is missing or bad, and for another dtype.
        """
        if dtype != "float32":
            raise InputError(f"dtype = {dtype!r}: similarities of words are computed in float32")
        return cls(NearestWords.open(source, rule, format))

    def stream(
        self, inputs: Iterable[Any], *, at_once: int | None = None, top_k: int = 10, **_: Any
    ) -> Iterator[SimilarWords | WordPair]:
        """The answers, in order."""
        for given in inputs:
            words = self._example(given)
            if len(words) == 1:
                yield _found(words, self.words.nearest(words[0], top_k))
            elif len(words) == 2:
                yield WordPair(words, self.words.similarity(*words))
            else:
                a, b, c = words
                yield _found(words, self.words.analogy(a, b, c, top_k))

    def examples(self, source: Any) -> Iterator[tuple[str, ...]]:
        """One to three words per line, apart by tabs, or by blanks where there is no tab."""
        for line in source.lines():
            yield tuple(line.split("\t") if "\t" in line else line.split())


class _Words:
    """What an example is: one to three words."""

    whole = False
    unit = "words"

    def example(self, value: Any) -> tuple[str, ...]:
        """A word, or two or three, as a tuple or apart by tabs.

        Raises:
            InputError: for anything else.
        """
        words = value.split("\t") if isinstance(value, str) else value if isinstance(value, tuple | list) else ()
        words = tuple(words)
        if not 1 <= len(words) <= 3 or not all(isinstance(word, str) for word in words):
            raise InputError(f"{value!r}: expected a word, or two or three of them")
        return words


def _found(words: tuple[str, ...], nearest: list[tuple[str, float]]) -> SimilarWords:
    return SimilarWords(words, tuple(SimilarWord(word, score) for word, score in nearest))
