# SPDX-License-Identifier: BSD-2-Clause
"""Which pieces of a text the windows hold that it was read in."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from spago_jax.text.tokenizers.tokenizer import Encoding

_SEPARATORS = ".,"  # within a number


def shared(room: int, stride: int) -> int:
    """Returns how many pieces a window with room for so many repeats of the one before: half of them at most.

    >>> shared(380, 128), shared(20, 128)
    (128, 10)
    """
    return min(stride, room // 2)


def pieces_of(windows: Sequence[Encoding], sequence: int, stride: int) -> list[np.ndarray]:
    """Returns the place of each position of a window among the pieces of the whole text.

    Args:
        windows: of one text, in order.
        sequence: 0 for the first text of a pair, 1 for the second.
        stride: how many pieces of a window the next one repeats, if it has room; see ``shared``.

    Returns:
        One int array per window, as long as the window; -1 for marks and the other text.
    """
    found, first, repeated = [], 0, 0
    for window in windows:
        own = np.array([part == sequence for part in window.sequence_ids or ()], bool)
        if not found:  # where there are more windows the first is full
            repeated = shared(int(own.sum()), stride)
        found.append(np.where(own, first + np.cumsum(own) - 1, -1))
        first += int(own.sum()) - repeated
    return found


def whole(windows: Sequence[Encoding], places: Sequence[np.ndarray]) -> tuple[list[tuple[int, int]], list[int | None]]:
    """Returns the offsets and the words of all pieces of a text, from its windows.

    Args:
        windows: of one text.
        places: from ``pieces_of``.
    """
    count = max((int(place.max(initial=-1)) for place in places), default=-1) + 1
    offsets: list[tuple[int, int]] = [(0, 0)] * count
    words: list[int | None] = [None] * count
    for window, place in zip(windows, places, strict=True):
        for position in np.flatnonzero(place >= 0).tolist():
            offsets[place[position]] = window.offsets[position]
            words[place[position]] = None if window.word_ids is None else window.word_ids[position]
    return offsets, words


def most_context(places: Sequence[np.ndarray], pieces: int) -> np.ndarray:
    """Returns the window in which each piece of a text stands farthest from a cut, int [pieces].

    Ties go to the earlier window.

    >>> most_context([np.array([-1, 0, 1, 2, -1]), np.array([-1, 1, 2, 3, -1])], 4).tolist()
    [0, 0, 1, 1]
    """
    context = np.full(pieces, -1)
    owner = np.full(pieces, -1)
    for number, place in enumerate(places):
        held = place[place >= 0]
        steps = np.arange(len(held))
        found = np.minimum(steps, steps[::-1])
        better = found > context[held]
        context[held[better]] = found[better]
        owner[held[better]] = number
    return owner


def merged(outputs: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> np.ndarray:
    """Returns one row of output per piece of a text, from the window in which the piece has most context.

    Args:
        outputs: of each window, [at least as long as the window, ...].
        places: from ``pieces_of``.

    Returns:
        [pieces, ...].
    """
    pieces = max((int(place.max(initial=-1)) for place in places), default=-1) + 1
    owner = most_context(places, pieces)
    found = np.zeros((pieces, *np.shape(outputs[0])[1:]), np.asarray(outputs[0]).dtype)
    for number, (output, place) in enumerate(zip(outputs, places, strict=True)):
        held = np.flatnonzero(place >= 0)
        own = held[owner[place[held]] == number]
        found[place[own]] = output[own]
    return found


def kept_together(text: str, offsets: Sequence[tuple[int, int]], words: Sequence[int | None]) -> list[int | None]:
    """Returns the words with those made one that a tokenizer's rules for pieces part in the middle.

    A mark stays with its letter (byte-level tokenizers part them), and a number with its separators is one word.

    Args:
        text: the text.
        offsets: the place of each piece in it.
        words: the word of each piece.

    >>> kept_together("at 5.9,", [(0, 2), (3, 4), (4, 5), (5, 6), (6, 7)], [0, 1, 2, 3, 4])
    [0, 1, 1, 1, 4]
    """
    found = list(words)
    for piece in range(1, len(found)):
        (_, end), (start, last) = offsets[piece - 1], offsets[piece]
        word, before = words[piece], words[piece - 1]
        if word is None or before is None or start > end or not text[start:last]:
            continue
        if word == before or _continues(text, start):
            found[piece] = found[piece - 1]
    return found


def _continues(text: str, at: int) -> bool:
    """Whether what begins at a place of a text goes on with what stands before it."""
    if _is_mark(text[at]) or (at and _is_mark(text[at - 1]) and unicodedata.category(text[at])[0] in "LM"):
        return True
    before, after = text[max(at - 2, 0) : at], text[at : at + 2]
    if after[:1].isdigit():  # the digits after a separator
        return len(before) == 2 and before[0].isdigit() and before[1] in _SEPARATORS
    return len(after) == 2 and after[0] in _SEPARATORS and after[1].isdigit() and before[-1:].isdigit()


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc", "Me") or char == "\u200d"


def words_of(words: Sequence[int | None]) -> list[tuple[int, int]]:
    """Returns the first and the last piece of each word; a piece without a word is one by itself.

    >>> words_of([0, 1, 1, None, 2]), words_of([])
    ([(0, 0), (1, 2), (3, 3), (4, 4)], [])
    """
    starts = [i for i, word in enumerate(words) if i == 0 or word is None or word != words[i - 1]]
    ends = [start - 1 for start in [*starts, len(words)]][1:]
    return list(zip(starts, ends, strict=True))
