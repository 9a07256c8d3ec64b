# SPDX-License-Identifier: BSD-2-Clause
"""Spans and scores as Flair reads them off the tags of a sentence."""

from collections.abc import Sequence

import numpy as np

from spago_jax.text.tags import OUTSIDE, Span

_PREFIXES = ("B-", "I-", "E-", "S-")


def flair_spans(tags: Sequence[str], *, old: bool = False) -> list[Span]:
    """Returns the spans of tags by Flair's rules, which are not those of the scheme.

    ``B-`` and ``S-`` start a span, and ``I-`` where the label before it is another one; ``E-`` goes on with whatever
    stands before it. A span ends before ``O`` and before the next start, and not at ``E-`` or ``S-``. Its label is the
    one with most weight among its tags: 1.1 for a tag that starts it, 1 for any other; of equal ones the first.

    Until 0.10, by the ``old`` rules, ``I-`` and ``E-`` start a span after an ``S-`` of another label and nowhere else,
    and a tag without a prefix is one token's span.

    >>> flair_spans(["E-LOC", "E-LOC", "E-PER", "O", "S-PER", "I-LOC", "E-LOC"])
    [Span(start=0, end=3, label='LOC'), Span(start=4, end=5, label='PER'), Span(start=5, end=7, label='LOC')]
    >>> flair_spans(["B-LOC", "I-PER"], old=True), flair_spans(["S-PER", "E-LOC"], old=True)
    ([Span(start=0, end=2, label='LOC')], [Span(start=0, end=1, label='PER'), Span(start=1, end=2, label='LOC')])
    """
    found: list[Span] = []
    start, weights, before = 0, {}, OUTSIDE
    for place, given in enumerate([*tags, OUTSIDE]):
        tag = given
        if not tag.startswith(_PREFIXES) and tag != OUTSIDE:
            tag = f"S-{tag}" if old else OUTSIDE
        inside, label = tag != OUTSIDE, tag[2:]
        starts = tag.startswith(("B-", "S-"))
        if inside and before[2:] != label:
            starts = starts or (before.startswith("S-") if old else tag.startswith("I-"))
        if (starts or not inside) and weights:
            found.append(Span(start, place, max(weights, key=weights.__getitem__)))
            weights = {}
        if inside:
            start = start if weights else place
            weights[label] = weights.get(label, 0.0) + (1.1 if starts else 1.0)
        before = tag
    return found


def path_shares(shares: np.ndarray, tags: Sequence[np.ndarray]) -> list[float]:
    """Returns Flair's score of each token, the highest share; in place, it becomes that of the tag of the path.

    Args:
        shares: of each tag, and of the end of a sentence as what is missing from 1: [tokens, tags].
        tags: the ids of the path's tags, in pieces.
    """
    path = np.concatenate(list(tags)).astype(np.int64)
    rows = np.arange(len(path))
    best = shares.argmax(axis=-1)
    stop = 1 - shares.sum(axis=-1)
    highest = np.maximum(shares[rows, best], stop)
    own = shares[rows, path]
    swapped = shares[rows, best] >= stop
    shares[rows[swapped], best[swapped]] = own[swapped]
    shares[rows, path] = highest
    return highest.tolist()
