# SPDX-License-Identifier: BSD-2-Clause
"""The ids of the shapes of words: capitals, digits, marks."""

from collections import Counter
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from spago_jax.data.lexicon import Lexicon
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.text.vocabulary import Vocabulary
from spago_jax.text.words import word_shape


class ShapeIndexer(TokenIndexer):
    """One id per token: that of its shape, such as ``Xxx`` or ``dddd``.

    Args:
        name: of its array in a batch.
        vocabulary: the known shapes; id 0 is padding and id 1 the unknown shape.
    """

    kind: ClassVar[str] = "shapes"

    def __init__(self, name: str, vocabulary: Vocabulary):
        self.name, self.vocabulary = name, vocabulary

    @classmethod
    def fit(cls, name: str, lexicon: Lexicon) -> Self:
        """Counts the shapes of the training data; the 500 most frequent ones that occur five times are known."""
        counts: Counter[str] = Counter()
        for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
            counts[word_shape(form)] += count
        return cls(name, Vocabulary.from_counts(counts, min_count=5, max_size=500))

    @property
    def size(self) -> int:
        """The number of shapes, padding and the unknown shape among them."""
        return len(self.vocabulary)

    def tables(self, lexicon: Lexicon) -> dict[str, np.ndarray]:
        """The shape of each form, int32 [forms + 1]."""
        found = self.vocabulary.encode([word_shape(form) for form in lexicon])
        return {self.name: np.append(found, 0).astype(np.int32)}

    def specs(self) -> dict[str, str]:
        """One id per token."""
        return {self.name: "i32[batch, time]"}

    def save(self, folder: Path) -> None:
        """Writes ``NAME.json``."""
        self.vocabulary.save(folder / f"{self.name}.json")

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """Reads what ``save`` wrote."""
        return cls(name, Vocabulary.load(folder / f"{name}.json"))
