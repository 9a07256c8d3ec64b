# SPDX-License-Identifier: BSD-2-Clause
"""The spans of a passage by their probability, over all windows that it was read in."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from spago_jax.tasks.pretrained.windows import most_context


class Window(NamedTuple):
    """The scores of one window.

    Attributes:
        start: the logit of each piece as the first of the answer, [n].
        end: the logit of each piece as the last, [n].
        pieces: the place of each piece among those of the passage, int [n]; -1 for pieces of the question and marks.
        none: the sum of both logits at the mark that stands for "no answer".
    """

    start: np.ndarray
    end: np.ndarray
    pieces: np.ndarray
    none: float


class Scored(NamedTuple):
    """A span of pieces of the passage, ``first`` to ``last`` inclusive, with its probability; -1 for no answer.

    Attributes:
        first: its first piece.
        last: its last piece.
        probability: among all spans.
        margin: how much the sum of its logits exceeds that of "no answer", which spans of other passages can be
            compared by.
    """

    first: int
    last: int
    probability: float
    margin: float = 0.0


def best_spans(
    windows: Sequence[Window], pieces: int, *, longest: int, count: int, no_answer: bool = False
) -> list[Scored]:
    """Returns the most probable spans.

    ``p(i, j) = exp(s_i + e_j) / sum over all spans``, with ``i <= j < i + longest`` and one sum over all windows, so
    that windows can be compared. A span counts once: in the window in which its first piece has most context, which is
    min(pieces before it, pieces after it) in the window; ties go to the earlier window.

    Args:
        windows: the scores of each window.
        pieces: how many pieces the passage has.
        longest: how many pieces a span has, at most.
        count: how many spans are wanted.
        no_answer: let "no answer" take part, with the least of the windows' scores for it.

    >>> window = Window(np.array([0.0, 5, 0]), np.array([0.0, 0, 5]), np.array([-1, 0, 1]), 0.0)
    >>> best_spans([window], 2, longest=2, count=1)[0]._replace(probability=None)
    Scored(first=0, last=1, probability=None, margin=10.0)
    """
    owner = most_context([window.pieces for window in windows], pieces)
    firsts, lasts, logs = [], [], []
    for number, window in enumerate(windows):
        held = np.flatnonzero(window.pieces >= 0)
        if not held.size:
            continue
        starts = held[owner[window.pieces[held]] == number]
        place = starts[:, None] + np.arange(longest)
        # The pieces of a passage stand side by side in a window.
        inside = place <= held[-1]
        row, column = np.nonzero(inside)
        at, to = starts[row], place[row, column]
        firsts.append(window.pieces[at])
        lasts.append(window.pieces[to])
        logs.append(window.start[at].astype(np.float64) + window.end[to].astype(np.float64))
    if no_answer and windows:
        firsts.append(np.array([-1]))
        lasts.append(np.array([-1]))
        logs.append(np.array([min(window.none for window in windows)], np.float64))
    if not logs or not sum(map(len, logs)):
        return []
    first, last, log = np.concatenate(firsts), np.concatenate(lasts), np.concatenate(logs)
    margin = log - min(window.none for window in windows)
    log -= log.max()
    probability = np.exp(log) / np.exp(log).sum()
    best = np.argsort(-probability, kind="stable")[:count]
    return [Scored(int(first[i]), int(last[i]), float(probability[i]), float(margin[i])) for i in best]
