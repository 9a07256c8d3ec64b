# SPDX-License-Identifier: BSD-2-Clause
"""Scores of texts that a model has written, beside those that it should have written: chrF, BLEU, exact match."""

import functools
from collections.abc import Sequence
from typing import Any, TypedDict

from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.metrics.protocol import ratio

__all__ = ["OVERLAPS", "TextScores", "TextState", "check_overlaps"]

OVERLAPS = ("chrf", "bleu")
"""The scores that the package sacrebleu computes."""


class TextState(TypedDict):
    """The texts themselves: neither BLEU nor chrF is a mean over texts."""

    written: list[str]
    wanted: list[str]


class TextScores:
    """chrF and BLEU of a corpus as `sacrebleu` computes them, from 0 to 100, and the share of texts that are right.

    chrF is ``5 P R / (4 P + R)`` with P and R the means over n = 1 to 6 of the precision and the recall of n-grams of
    characters (beta 2; Popović, 2015). BLEU is the geometric mean of the precisions of n-grams of words, n = 1 to 4,
    times ``exp(1 - wanted / written)`` where less was written than wanted (Papineni et al., 2002; Post, 2018). A text
    matches exactly if it is the wanted one, blanks around it apart.

    Args:
        names: the scores, of ``chrf``, ``bleu`` and ``exact_match``.
        tokenize: how BLEU cuts words: ``13a``, ``zh``, ``ja-mecab``, ``char``, ``intl``, ``none``, ... of sacrebleu.

    Raises:
        InputError: for an unknown score or way to cut, or where the package is missing.

    >>> metric = TextScores(["exact_match"])
    >>> state = metric.update(metric.init(), ["a cat ", "a dog"], ["a cat", "the dog"])
    >>> metric.compute(state)
    {'exact_match': 0.5}
    """

    def __init__(self, names: Sequence[str] = (*OVERLAPS, "exact_match"), *, tokenize: str = "13a"):
        for name in names:
            if name not in (*OVERLAPS, "exact_match"):
                raise InputError(f"unknown score {name!r}: {did_you_mean(name, (*OVERLAPS, 'exact_match'))}")
        self.names, self._tokenize = tuple(names), tokenize
        if set(names) & set(OVERLAPS):
            check_overlaps(tokenize)

    def init(self) -> TextState:
        """Returns the empty state."""
        return {"written": [], "wanted": []}

    def update(self, state: TextState, written: Sequence[str], wanted: Sequence[str]) -> TextState:
        """Takes some texts with those that should have been written.

        Raises:
            InputError: there are not as many of both.
        """
        if len(written) != len(wanted):
            raise InputError(f"{len(written)} texts for {len(wanted)} wanted ones: expected one for each")
        return {"written": [*state["written"], *written], "wanted": [*state["wanted"], *wanted]}

    def merge(self, a: TextState, b: TextState) -> TextState:
        """Returns the texts of both parts."""
        return {"written": a["written"] + b["written"], "wanted": a["wanted"] + b["wanted"]}

    def compute(self, state: TextState) -> dict[str, float]:
        """Returns the scores by name; 0 where there are no texts."""
        written, wanted = state["written"], state["wanted"]
        found = {}
        for name in self.names:
            if name == "exact_match":
                same = sum(one.strip() == other.strip() for one, other in zip(written, wanted, strict=True))
                found[name] = ratio(same, len(written))
            else:
                metric = _metric(name, self._tokenize)
                found[name] = float(metric.corpus_score(written, [wanted]).score) if written else 0.0
        return found


def check_overlaps(tokenize: str = "13a") -> None:
    """Refuses, before any work, scores whose package is missing, or a way to cut words that it does not have.

    Raises:
        InputError: naming what is missing.
    """
    known = _package().BLEU.TOKENIZERS
    if tokenize not in known:
        raise InputError(f"tokenize {tokenize!r}: {did_you_mean(tokenize, sorted(known))}")
    try:
        _metric("bleu", tokenize)
    except Exception as error:  # some ways to cut need packages of their own, each with an error of its own
        raise InputError(f"tokenize {tokenize!r} cannot be used: {error}") from None


def _package() -> Any:
    try:
        from sacrebleu import metrics  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError("chrF and BLEU need the package sacrebleu: pip install 'spago_jax[scores]'") from None
    return metrics


@functools.cache
def _metric(name: str, tokenize: str) -> Any:
    package = _package()
    return package.CHRF() if name == "chrf" else package.BLEU(tokenize=tokenize)
