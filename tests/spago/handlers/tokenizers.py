"""tokenizer.*: words, marks and pieces of words, with their places."""

from collections.abc import Iterator

import numpy as np

from spago.golden import Case
from spago.registry import Comparison, golden
from spago_jax.text.tokenizers.spago import SpagoTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding


def _compared(case: Case, found: Encoding) -> Iterator[Comparison]:
    tokens = case.extra["tokens"] or []
    expected = np.array([(token["start"], token["end"]) for token in tokens], np.float64).reshape(-1, 2)
    yield "offsets", np.array(found.offsets, np.float64).reshape(-1, 2), expected
    yield "same tokens", np.array(float(found.tokens == [token["s"] for token in tokens])), np.array(1.0)


@golden("tokenizer.base")
def words(case: Case) -> Iterator[Comparison]:
    """Words and marks."""
    yield from _compared(case, SpagoTokenizer().encode(case.config["text"]))


@golden("tokenizer.wordpiece")
def pieces(case: Case) -> Iterator[Comparison]:
    """Pieces of words, and the first and last piece of each word."""
    vocabulary = case.config["vocabulary"]
    found = SpagoTokenizer(vocabulary=vocabulary).encode(case.config["text"])
    yield from _compared(case, found)
    groups = case.extra["groups"] or []
    numbers = np.array(found.word_ids, int)
    ours = [np.flatnonzero(numbers == word)[[0, -1]] for word in range(len(groups))]
    yield "groups", np.array(ours, float).reshape(-1, 2), np.array(groups, float).reshape(-1, 2)
    yield "words", float(len(set(found.word_ids))), np.array(float(len(groups)))
    yield "ids", np.array(found.ids, float), np.array([vocabulary.index(token) for token in found.tokens], float)
