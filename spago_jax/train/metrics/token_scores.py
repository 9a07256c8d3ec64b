# SPDX-License-Identifier: BSD-2-Clause
"""Accuracy, precision, recall and F1 of single labels, from a confusion matrix."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spago_jax.core.section import one_or_more
from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.metrics.protocol import ratio

__all__ = ["Confusion", "LabelRow", "TokenScores"]


class LabelRow(NamedTuple):
    """The scores of one label, as fractions of 1."""

    label: str
    precision: float
    recall: float
    f1: float
    gold: int
    predicted: int
    correct: int


class Confusion(NamedTuple):
    """How often one label was predicted in place of another."""

    gold: str
    predicted: str
    times: int


class TokenScores:
    """Scores a classification of tokens, texts or images; its state is the confusion matrix.

    With n_gp the number of tokens of label g that were predicted as p: accuracy = sum_g n_gg / n; precision of
    l = n_ll / sum_g n_gl; recall = n_ll / sum_p n_lp; f1 = 2 n_ll / (sum_g n_gl + sum_p n_lp), and 0 where
    that is 0 / 0. ``macro_f1`` is the mean f1 of the labels that occur among the gold or the predicted ones (as in
    scikit-learn); ``micro_f1`` takes the counts of all labels together, and equals the accuracy if no label is
    ignored.

    >>> metric = TokenScores(("NOUN", "VERB", "X"))
    >>> state = metric.update(metric.init(), ["NOUN", "VERB", "VERB"], ["NOUN", "NOUN", "VERB"])
    >>> {name: round(score, 3) for name, score in metric.compute(state).items()}
    {'accuracy': 0.667, 'macro_f1': 0.667, 'micro_f1': 0.667, 'macro_precision': 0.75, 'macro_recall': 0.75}

    Args:
        labels: the labels in the order of their ids.
        ignore: labels left out of the macro and micro scores (``O``), but not of the accuracy.

    Raises:
        InputError: a label is given twice, or an ignored label is not among them.
    """

    def __init__(self, labels: Sequence[str], *, ignore: Sequence[str] = ()):
        self.labels = tuple(one_or_more(labels))
        self._index = {label: i for i, label in enumerate(self.labels)}
        if len(self._index) != len(self.labels):
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise InputError(f"label {twice!r} is given twice among the labels to score")
        for label in one_or_more(ignore):
            if label not in self._index:
                raise InputError(f"cannot ignore label {label!r}: {did_you_mean(label, self.labels)}")
        self.ignore = frozenset(one_or_more(ignore))

    def init(self) -> np.ndarray:
        """Returns the empty state: int64[labels, labels], rows gold, columns predicted."""
        return np.zeros((len(self.labels), len(self.labels)), np.int64)

    def _ids(self, values: Sequence[str] | np.ndarray, what: str) -> np.ndarray:
        array = np.asarray(values)
        if array.dtype.kind in "US" or (array.dtype.kind == "O" and array.size):
            try:
                flat = [self._index[str(value)] for value in array.ravel().tolist()]
            except KeyError as error:
                name = error.args[0]
                raise InputError(f"{what} label {name!r} is unknown; {did_you_mean(name, self.labels)}") from None
            return np.array(flat, np.int64).reshape(array.shape)
        if array.size and array.dtype.kind not in "iu":
            raise InputError(f"{what} labels are of type {array.dtype}, expected strings or ids (integers)")
        return array.astype(np.int64)

    def update(
        self,
        state: np.ndarray,
        gold: Sequence[str] | np.ndarray,
        predicted: Sequence[str] | np.ndarray,
        *,
        lengths: np.ndarray | None = None,
    ) -> np.ndarray:
        """Counts labels, given by name or by id, in two arrays of the same shape.

        Args:
            state: the counts so far.
            gold: the true labels; those with a negative id are skipped.
            predicted: the predicted labels, as many.
            lengths: for arrays ``[batch, time]``, the number of positions of each row that count.

        Raises:
            InputError: the shapes differ, or a label or id is unknown.
        """
        wanted, got = self._ids(gold, "gold"), self._ids(predicted, "predicted")
        if wanted.shape != got.shape:
            raise InputError(
                f"gold labels have shape {wanted.shape}, predicted ones {got.shape}: expected equal shapes"
            )
        keep = wanted >= 0
        if lengths is not None:
            keep &= np.arange(wanted.shape[-1]) < np.asarray(lengths)[..., None]
        wanted, got = wanted[keep], got[keep]
        n = len(self.labels)
        for what, ids in (("gold", wanted), ("predicted", got)):
            if ids.size and (ids.min() < 0 or ids.max() >= n):
                wrong = ids[(ids < 0) | (ids >= n)][0]
                raise InputError(f"{what} id {wrong} is not the id of one of {n} labels: expected 0 to {n - 1}")
        return state + np.bincount(wanted * n + got, minlength=n * n).reshape(n, n)

    def merge(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Returns the counts of both parts."""
        return a + b

    def rows(self, state: np.ndarray) -> list[LabelRow]:
        """Returns one row per label that occurs and is not ignored, in the order of the labels."""
        gold, predicted, correct = state.sum(1).tolist(), state.sum(0).tolist(), state.diagonal().tolist()
        return [
            LabelRow(label, ratio(c, p), ratio(c, g), ratio(2 * c, g + p), g, p, c)
            for label, g, p, c in zip(self.labels, gold, predicted, correct, strict=True)
            if g + p and label not in self.ignore
        ]

    def compute(self, state: np.ndarray) -> dict[str, float]:
        """Returns ``accuracy``, ``macro_f1``, ``micro_f1``, ``macro_precision``, ``macro_recall``; fractions of 1."""
        rows = self.rows(state)
        gold, predicted, correct = (sum(getattr(r, name) for r in rows) for name in ("gold", "predicted", "correct"))
        return {
            "accuracy": ratio(int(state.trace()), int(state.sum())),
            "macro_f1": ratio(sum(row.f1 for row in rows), len(rows)),
            "micro_f1": ratio(2 * correct, gold + predicted),
            "macro_precision": ratio(sum(row.precision for row in rows), len(rows)),
            "macro_recall": ratio(sum(row.recall for row in rows), len(rows)),
        }

    def confusions(self, state: np.ndarray, *, most: int = 10) -> list[Confusion]:
        """Returns the most frequent mistakes, the most frequent first.

        >>> metric = TokenScores(["a", "b"])
        >>> metric.confusions(metric.update(metric.init(), ["a", "a", "b"], ["b", "b", "b"]))
        [Confusion(gold='a', predicted='b', times=2)]
        """
        wrong = state.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        n = len(self.labels)
        return [
            Confusion(self.labels[i // n], self.labels[i % n], int(wrong.flat[i]))
            for i in order.tolist()
            if wrong.flat[i]
        ]
