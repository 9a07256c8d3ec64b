# SPDX-License-Identifier: BSD-2-Clause
"""Hashed n-grams of words and of characters, as in fastText."""

import zlib
from collections.abc import Sequence


def hashed_ngrams(tokens: Sequence[str], rows: int, *, order: int = 2, characters: bool = False) -> list[int]:
    """Returns the rows (1 .. rows) of a text's n-grams; row 0 is padding. Source: Joulin et al. (2017).

    Args:
        tokens: the words of the text.
        rows: the size of the table.
        order: the longest word n-gram, from 1.
        characters: also the 3- to 5-grams of characters within ``<word>`` (Bojanowski et al., 2017).

    >>> len(hashed_ngrams(["lost", "my", "card"], 1000)), len(hashed_ngrams(["card"], 1000, characters=True))
    (5, 10)
    """
    found: list[str] = []
    for n in range(1, order + 1):
        found += [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    if characters:
        for token in tokens:
            marked = f"<{token}>"
            for n in (3, 4, 5):
                found += [f"#{marked[i : i + n]}" for i in range(len(marked) - n + 1)]
    return [1 + zlib.crc32(gram.encode("utf-8", "surrogatepass")) % rows for gram in found]
