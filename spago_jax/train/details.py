# SPDX-License-Identifier: BSD-2-Clause
"""Tables of an evaluation, as JSON for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np

UNSEEN = "(unseen label)"
SAMPLES = 30


def label_table(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns the rows of ``TokenScores.rows`` or ``EntityF1.rows``, the most frequent label first."""
    return [row._asdict() for row in sorted(rows, key=lambda row: -row.gold)]


def confusion_table(labels: Sequence[str], matrix: np.ndarray) -> dict[str, Any]:
    """Returns the labels that occur, and how often each gold label (row) was predicted as each label (column)."""
    held = np.flatnonzero(matrix.sum(0) + matrix.sum(1)).tolist()
    return {"labels": [labels[i] for i in held], "matrix": matrix[np.ix_(held, held)].tolist()}
