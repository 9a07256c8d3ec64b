# SPDX-License-Identifier: BSD-2-Clause
"""Pairs of texts as rows, with their scores: what sentence encoders are trained on."""

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from spago_jax.data.examples import Labeled, Text
from spago_jax.data.processor import Rows
from spago_jax.data.ragged import RaggedArray
from spago_jax.errors import InputError
from spago_jax.tasks.text_encoding.processor import EncodingProcessor

_AT_ONCE = 1024  # pairs


class PairRows(Rows):
    """Pairs of texts.

    Attributes:
        ids: the ids of the first texts' pieces.
        pair_ids: those of the second texts.
        scores: of each pair, float32 [n], 1 for pairs that mean the same; None where there are no scores.
        examples: the pairs as they were read.
    """

    def __init__(
        self, sides: Sequence[Sequence[Sequence[int]]], scores: np.ndarray | None, examples: Sequence[Labeled]
    ):
        self.ids, self.pair_ids = (
            RaggedArray.from_lengths(np.array([id for row in rows for id in row], np.int32), [len(row) for row in rows])
            for rows in sides
        )
        self.lengths = np.maximum(self.ids.lengths, self.pair_ids.lengths)
        self.owners = np.arange(len(self.lengths))
        self.scores, self.examples = scores, tuple(examples)


def pair_rows(processor: EncodingProcessor, pairs: Iterable[Labeled], full_score: float | None) -> PairRows:
    """Returns the rows of pairs.

    Args:
        processor: cuts the texts, as it does for a user.
        pairs: from a reader.
        full_score: the label of a pair that means the same; None for pairs without scores.

    Raises:
        InputError: for a label that is not a number, or beyond the full score, with its line.
    """
    kept: list[Labeled] = []
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    iterator = iter(pairs)
    while chunk := list(islice(iterator, _AT_ONCE)):
        kept += chunk
        for side, texts in zip(sides, ([p.text for p in chunk], [p.pair or "" for p in chunk]), strict=True):
            side += [encoding.ids for (encoding,) in processor.encodings([Text(text) for text in texts])]
    scores = None if full_score is None else np.array([_score(pair, full_score) for pair in kept], np.float32)
    return PairRows(sides, scores, kept)


def _score(pair: Labeled, full_score: float) -> float:
    try:
        found = float(pair.label or "")
    except ValueError:
        raise InputError(
            f"the label {pair.label!r} of line {pair.line} is no number; score pairs by numbers, or leave scores out "
            "with data.label_field: null, so that the other pairs of a batch are the wrong ones"
        ) from None
    if not abs(found) <= full_score:
        raise InputError(
            f"the score {found:g} of line {pair.line} is beyond model.full_score = {full_score:g}, that of a pair that "
            "means the same"
        )
    return found / full_score
