# SPDX-License-Identifier: BSD-2-Clause
"""How many words of a text have a given vector, and by which of their forms."""

import dataclasses
import warnings
from collections.abc import Iterable

from spago_jax.data.lexicon import Lexicon
from spago_jax.data.notes import Notes
from spago_jax.embeddings.indexer import TokenIndexer
from spago_jax.embeddings.word_index import WordIndexer
from spago_jax.errors import InputWarning

__all__ = ["Coverage", "coverage", "say_coverage"]


@dataclasses.dataclass
class Coverage:
    """Counts of words, by how they come to a given vector.

    Attributes:
        exact: those that have one as they stand.
        lower: those that have that of their lower-cased form.
        digits: those that have that of the word with other digits.
        none: those without one.
        parts: those whose vector is made of the vectors of their parts.
    """

    exact: int = 0
    lower: int = 0
    digits: int = 0
    none: int = 0
    parts: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.exact + self.lower + self.digits + self.none + self.parts

    def to_json(self) -> dict[str, int]:
        """Returns the counts; that of parts only where there are some."""
        return {name: count for name, count in dataclasses.asdict(self).items() if count or name != "parts"}

    def __str__(self) -> str:
        def share(count: int) -> str:
            return f"{100 * count / max(self.total, 1):.1f} %"

        found = self.total - self.none
        parts = f", by their parts {share(self.parts)}" if self.parts else ""
        return (
            f"{share(found)} of {self.total:,} (as they stand {share(self.exact)}, lower-cased {share(self.lower)},"
            f" digits as zeros {share(self.digits)}{parts})"
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
    if not isinstance(indexer, WordIndexer) or not (indexer.given or indexer.composed or indexer.parts):
        return None
    tokens, forms = Coverage(), Coverage()
    for count, how in zip(lexicon.counts.tolist(), _ways(indexer, lexicon), strict=True):
        for counted, more in ((tokens, count), (forms, 1)):
            setattr(counted, how, getattr(counted, how) + more)
    return tokens, forms


def _ways(indexer: WordIndexer, lexicon: Lexicon) -> list[str]:
    """How each form comes to a given vector: the name of a count of ``Coverage``."""
    forms = list(lexicon)
    ways = [_how(indexer, form) for form in forms]
    for place in indexer.read_by_parts(forms)[0].tolist():
        ways[place] = "parts"
    return ways


def _how(indexer: WordIndexer, form: str) -> str:
    word = indexer.word(form)
    given = None if word is None else indexer.given_word(word)
    if given is None:
        return "parts" if word in indexer.composed else "none"
    if given == form:
        return "exact"
    return "lower" if given == form.lower() else "digits"


FLOOR = 0.5
"""The share of the tokens that should have a given vector: below it, the vectors are hardly those of this text."""


def say_coverage(notes: Notes, indexers: Iterable[TokenIndexer], lexicon: Lexicon) -> None:
    """Notes how many tokens and words of a part of the data have a given vector, for each embedding that has some.

    Warns where they are fewer than ``FLOOR`` of the tokens, with the most frequent words without one.
    """
    for indexer in indexers:
        found = coverage(indexer, lexicon)
        if found is None:
            continue
        notes.say(f"{indexer.name}: {found[0]} tokens and {found[1]} words have a given vector")
        have = found[0].total - found[0].none
        if isinstance(indexer, WordIndexer) and have < FLOOR * found[0].total:
            counts = zip(lexicon.counts.tolist(), lexicon, _ways(indexer, lexicon), strict=True)
            missing = sorted(((-count, form) for count, form, how in counts if how == "none"))[:5]
            listed = ", ".join(repr(form) for _, form in missing)
            warnings.warn(
                f"{indexer.name}: only {have / found[0].total:.1%} of {found[0].total:,} tokens have a given vector, "
                f"not {listed}; is the file of vectors of this language and case?",
                InputWarning,
                stacklevel=2,
            )
