# SPDX-License-Identifier: BSD-2-Clause
"""WordIndex: passages found by their words (BM25), and rankings that are joined."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

_WORD = re.compile(r"\w+")
K1, B = 1.2, 0.75
"""How soon a word that stands again and again adds no more, and how much a long passage is held against it."""
RANK = 60
"""What is added to a rank before rankings are joined (Cormack, Clarke and Büttcher, 2009)."""


def words_of(text: str) -> list[str]:
    """Returns the words of a text, without case: runs of letters, digits and underscores.

    >>> words_of("Don't call os.path.join()")
    ['don', 't', 'call', 'os', 'path', 'join']
    """
    return _WORD.findall(text.casefold())


class WordIndex:
    r"""The words of some texts, and the texts by their words.

    A text scores for a question (Robertson and Zaragoza, 2009, with Lucene's weight of a word)

    $$ \sum_w \ln\Bigl(1 + \frac{N - n_w + 1/2}{n_w + 1/2}\Bigr)
       \frac{f_w (k_1 + 1)}{f_w + k_1 (1 - b + b\, l / \bar l)} $$

    over the words $w$ of the question, each as often as it stands there; $n_w$ of the $N$ texts hold it, this one $f_w$
    times, and has $l$ words where texts have $\bar l$ on average.

    Args:
        texts: what can be found.

    >>> index = WordIndex(["a red house", "a house", "a tree"])
    >>> index.nearest("the red house", 5)[0].tolist()
    [0, 1]
    """

    def __init__(self, texts: Iterable[str]):
        self._places: dict[str, int] = {}
        words: list[int] = []
        owners: list[int] = []
        counts: list[int] = []
        lengths: list[int] = []
        for number, text in enumerate(texts):
            found = Counter(words_of(text))
            lengths.append(found.total())
            for word, count in found.items():
                words.append(self._places.setdefault(word, len(self._places)))
                owners.append(number)
                counts.append(count)
        self._count = len(lengths)
        order = np.argsort(np.asarray(words, np.int64), kind="stable")
        held = np.bincount(np.asarray(words, np.int64), minlength=len(self._places))
        self._begins = np.concatenate([[0], np.cumsum(held)])
        self._owners = np.asarray(owners, np.int32)[order]
        often = np.asarray(counts, np.float32)[order]
        share = np.asarray(lengths, np.float32) / max(float(np.mean(lengths)) if lengths else 0.0, 1e-9)
        rare = np.log1p((self._count - held + 0.5) / (held + 0.5)).astype(np.float32)
        weights = often * (K1 + 1) / (often + K1 * (1 - B + B * share[self._owners]))
        self._weights = weights * np.repeat(rare, held)

    def scores(self, question: str) -> np.ndarray:
        """Returns the score of every text, float32 [texts]; 0 where it has no word of the question."""
        found = np.zeros(self._count, np.float32)
        for word, times in Counter(words_of(question)).items():
            place = self._places.get(word)
            if place is not None:
                part = slice(self._begins[place], self._begins[place + 1])
                found[self._owners[part]] += times * self._weights[part]  # a text stands once among those of a word
        return found

    def nearest(self, question: str, count: int, kept: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the texts that score most, the best first: their numbers, and their scores, which are over 0.

        Args:
            question: in words that texts have.
            count: how many texts, at most.
            kept: the numbers of the texts that may be found, rising; all by default.
        """
        scores = self.scores(question)
        numbers = np.flatnonzero(scores > 0) if kept is None else kept[scores[kept] > 0]
        best = numbers[np.argsort(-scores[numbers], kind="stable")[:count]]
        return best, scores[best]


def joined(rankings: Sequence[Sequence[int]], count: int) -> list[tuple[int, float]]:
    """Joins rankings: a thing scores ``1 / (60 + rank)`` in each that it stands in, ranks from 1.

    Args:
        rankings: numbers of things, the best first.
        count: how many are returned, at most; of equal ones, the earlier in the first ranking are first.

    >>> [number for number, _ in joined([[3, 1], [1, 2]], 3)]
    [1, 3, 2]
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, 1):
            scores[number] = scores.get(number, 0.0) + 1.0 / (RANK + rank)
    return sorted(scores.items(), key=lambda each: -each[1])[:count]
