# SPDX-License-Identifier: BSD-2-Clause
"""How many words of a text have a given vector, and by which of their forms."""

import dataclasses
from collections.abc import Iterable

from spago_jax.data.lexicon import Lexicon
from spago_jax.data.notes import Notes
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.word_index import WordIndexer

__all__ = ["Coverage", "coverage", "say_coverage"]


@dataclasses.dataclass
class Coverage:
    """Counts of words, by how they come to a given vector.

    Attributes:
        exact: those that have one as they stand.
        lower: those that have that of their lower-cased form.
        digits: those that have that of the word with zeros for its digits.
        none: those without one.
    """

    exact: int = 0
    lower: int = 0
    digits: int = 0
    none: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.exact + self.lower + self.digits + self.none

    def to_json(self) -> dict[str, int]:
        """Returns the four counts."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        def share(count: int) -> str:
            return f"{100 * count / max(self.total, 1):.1f} %"

        found = self.total - self.none
        return (
            f"{share(found)} of {self.total:,} (as they stand {share(self.exact)}, lower-cased {share(self.lower)},"
            f" digits as zeros {share(self.digits)})"
        )


def coverage(indexer: TokenIndexer, lexicon: Lexicon) -> tuple[Coverage, Coverage] | None:
    """Counts the words of a part of the data that have a given vector.

    Args:
        indexer: the host half of an embedding.
        lexicon: the forms of the part, with their counts.

    Returns:
        The counts of tokens and of distinct forms; None for an embedding without given vectors.

    >>> from spago_jax.data.lexicon import LexiconBuilder
    >>> from spago_jax.embeddings.word_vectors import WordVectors
    >>> import numpy as np
    >>> builder = LexiconBuilder()
    >>> _ = builder.encode(["The", "the", "cat", "the"])
    >>> lexicon = builder.build()
    >>> words = WordIndexer.fit("words", lexicon, vectors=WordVectors(["the"], np.zeros((1, 2))))
    >>> tokens, forms = coverage(words, lexicon)
    >>> tokens.to_json(), forms.to_json()
    ({'exact': 2, 'lower': 1, 'digits': 0, 'none': 1}, {'exact': 1, 'lower': 1, 'digits': 0, 'none': 1})
    >>> print(tokens)
    75.0 % of 4 (as they stand 50.0 %, lower-cased 25.0 %, digits as zeros 0.0 %)
    """
    if not isinstance(indexer, WordIndexer) or not indexer.given:
        return None
    tokens, forms = Coverage(), Coverage()
    for form, count in zip(lexicon, lexicon.counts.tolist(), strict=True):
        how = _how(indexer, form)
        for counted, more in ((tokens, count), (forms, 1)):
            setattr(counted, how, getattr(counted, how) + more)
    return tokens, forms


def _how(indexer: WordIndexer, form: str) -> str:
    word = indexer.word(form)
    given = None if word is None else indexer.given_word(word)
    if given is None:
        return "none"
    if given == form:
        return "exact"
    return "lower" if given == form.lower() else "digits"


def say_coverage(notes: Notes, indexers: Iterable[TokenIndexer], lexicon: Lexicon) -> None:
    """Notes how many tokens and words of a part of the data have a given vector, for each embedding that has some."""
    for indexer in indexers:
        found = coverage(indexer, lexicon)
        if found is not None:
            notes.say(f"{indexer.name}: {found[0]} tokens and {found[1]} words have a given vector")
