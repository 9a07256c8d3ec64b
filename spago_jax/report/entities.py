# SPDX-License-Identifier: BSD-2-Clause
"""Predicted entities beside gold ones: what is right, and what kind of mistake the rest is."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from spago_jax.text.tags import Span, spans

Kind = Literal["right", "type", "boundary", "spurious", "missed"]

WORDS: dict[Kind, str] = {
    "right": "right",
    "type": "wrong type",
    "boundary": "wrong boundary",
    "spurious": "not an entity",
    "missed": "missed",
}


class Found(NamedTuple):
    """A predicted span, or a gold one that was missed, and the gold spans that it overlaps where they differ."""

    span: Span
    kind: Kind
    gold: tuple[Span, ...] = ()


def compare(gold: Sequence[str], predicted: Sequence[str], scheme: str) -> list[Found]:
    """Every predicted span, and every gold span that no predicted one touches, by position; they never overlap.

    >>> for found in compare(["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "O", "O", "B-ORG"], "IOB2"):
    ...     print(found.span.start, found.span.end, found.span.label, found.kind)
    0 1 PER boundary
    3 4 ORG type

    Raises:
        InputError: a tag with a prefix that is none of the scheme's.
    """
    true, guessed = spans(gold, scheme), spans(predicted, scheme)
    out = []
    for span in guessed:
        touched = tuple(g for g in true if g.start < span.end and span.start < g.end)
        if span in touched:
            out.append(Found(span, "right"))
        elif any((g.start, g.end) == (span.start, span.end) for g in touched):
            out.append(Found(span, "type", touched))
        else:
            out.append(Found(span, "boundary" if touched else "spurious", touched))
    for span in true:
        if not any(g.start < span.end and span.start < g.end for g in guessed):
            out.append(Found(span, "missed"))
    return sorted(out)
