# SPDX-License-Identifier: BSD-2-Clause
"""Encoded texts, or pairs of texts, with what a classifier reads of them and what it has to find."""

from collections.abc import Mapping, Sequence

import numpy as np

from spago_jax.data.encoded import name_table
from spago_jax.data.encoded_examples import EncodedExamples
from spago_jax.data.processor import Rows
from spago_jax.data.ragged import RaggedArray
from spago_jax.embeddings.sentence_vectors import SentenceVectors
from spago_jax.errors import InputError


class TextRows(Rows):
    """Encoded texts with what each embedding reads of their forms.

    Attributes:
        corpus: the texts.
        tables: of each embedding, by form.
        targets: what is to be found of each text; see ``targets_of``. None without labels.
        ngrams: the hashed n-grams of each text, or None.
        pair_ngrams: those of the second texts, or None.
        vectors: of embeddings that were computed before, by the names of their arrays.
        pair_vectors: those of the second texts.
        cut: how many tokens of each text lie beyond the longest length, int [n].
    """

    def __init__(
        self,
        corpus: EncodedExamples,
        tables: Mapping[str, np.ndarray],
        targets: np.ndarray | None,
        ngrams: RaggedArray | None,
        pair_ngrams: RaggedArray | None,
        max_length: int,
    ):
        self.corpus, self.tables, self.targets = corpus, tables, targets
        self.ngrams, self.pair_ngrams = ngrams, pair_ngrams
        self.vectors: dict[str, SentenceVectors] = {}
        self.pair_vectors: dict[str, SentenceVectors] = {}
        self.lengths = np.clip(corpus.lengths, 1, max_length)
        self.cut = np.maximum(corpus.lengths - max_length, 0)
        self.owners = np.arange(len(corpus))


def targets_of(corpus: EncodedExamples, classes: Sequence[str], problem: str) -> np.ndarray | None:
    """Returns what a classifier has to find.

    Args:
        corpus: the texts.
        classes: the labels of the model, by id.
        problem: ``single-label``, ``multi-label`` or ``regression``.

    Returns:
        The class of each text, int32 [n], -1 for one that training never saw; 0 or 1 for each class, float32
        [n, classes]; or a number per text, float32 [n]. None without labels.

    Raises:
        InputError: for several labels where one is expected, or a label that is not a number where it has to be.
    """
    if corpus.labels is None:
        return None
    if problem == "multi-label":
        ids = name_table(corpus.label_names, classes)[corpus.labels.values]
        rows = np.repeat(np.arange(len(corpus)), corpus.labels.lengths)
        found = np.zeros((len(corpus), len(classes)), np.float32)
        found[rows[ids >= 0], ids[ids >= 0]] = 1.0
        return found
    odd = np.flatnonzero(corpus.labels.lengths != 1)
    if len(odd):
        line, count = int(corpus.lines[odd[0]]), int(corpus.labels.lengths[odd[0]])
        raise InputError(
            f"the text of line {line} has {count} labels, and {len(odd) - 1} more have not just one: "
            "set model.problem: multi-label"
        )
    ids = np.asarray(corpus.labels.values)
    if problem == "single-label":
        return name_table(corpus.label_names, classes)[ids]
    return np.array([_number(name, corpus, label) for label, name in enumerate(corpus.label_names)], np.float32)[ids]


def _number(name: str, corpus: EncodedExamples, label: int) -> float:
    try:
        value = float(name)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        assert corpus.labels is not None
        row = int(np.flatnonzero(np.asarray(corpus.labels.values) == label)[0])
        raise InputError(
            f"the label of line {int(corpus.lines[row])} is {name!r}: model.problem: regression needs numbers"
        )
    return value
