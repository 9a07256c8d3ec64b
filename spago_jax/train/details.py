# SPDX-License-Identifier: BSD-2-Clause
"""The tables of an evaluation, as JSON for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np

UNSEEN = "(unseen label)"
SAMPLES = 30


def label_table(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of ``TokenScores.rows`` or ``EntityF1.rows``, the most frequent label first."""
    return [row._asdict() for row in sorted(rows, key=lambda row: -row.gold)]


def confusion_table(labels: Sequence[str], matrix: np.ndarray) -> dict[str, Any]:
    """The labels that occur, and how often each (row, gold) was taken for each (column, predicted)."""
    held = np.flatnonzero(matrix.sum(0) + matrix.sum(1)).tolist()
    return {"labels": [labels[i] for i in held], "matrix": matrix[np.ix_(held, held)].tolist()}
