# SPDX-License-Identifier: BSD-2-Clause
"""Pieces of one text, the special tokens that stand beside them, and the arithmetic of cutting them to a length."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from spago_jax.errors import InputError, did_you_mean
from spago_jax.text.tokenizers.tokenizer import Encoding

__all__ = ["Pieces", "Side", "Slot", "Truncation", "assemble", "kept_lengths", "pieces_of_words", "window_starts"]

Truncation = Literal["refuse", "longest_first", "only_first", "only_second"]
Side = Literal["left", "right"]
_TRUNCATIONS = ("refuse", "longest_first", "only_first", "only_second")


@dataclasses.dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one text, without special tokens.

    Attributes:
        ids: the id of each piece.
        tokens: its form in the vocabulary.
        offsets: its place in the text, in code points, half-open.
        word_ids: the word that it belongs to.
    """

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, part: slice) -> "Pieces":
        return Pieces(self.ids[part], self.tokens[part], self.offsets[part], self.word_ids[part])


@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """One place in the layout of an encoding: a special token, or a text.

    Attributes:
        sequence: the text that stands here, 0 or 1; None for a special token.
        type_id: the segment.
        id: the id of the special token.
        token: its form.
    """

    sequence: int | None
    type_id: int = 0
    id: int = -1
    token: str = ""


def assemble(layout: Sequence[Slot], texts: Sequence[Pieces], *, special_tokens: bool, dropped: int = 0) -> Encoding:
    """Returns the encoding of one text or of two, with the special tokens in their places."""
    found = Encoding([], [], dropped=dropped)
    for slot in layout:
        if slot.sequence is not None:
            pieces = texts[slot.sequence]
            found.ids.extend(pieces.ids)
            found.tokens.extend(pieces.tokens)
            found.offsets.extend(pieces.offsets)
            found.word_ids.extend(pieces.word_ids)
        elif special_tokens:
            found.ids.append(slot.id)
            found.tokens.append(slot.token)
            found.offsets.append((0, 0))
            found.word_ids.append(None)
        new = len(found.ids) - len(found.type_ids)
        found.type_ids.extend([slot.type_id] * new)
        found.sequence_ids.extend([slot.sequence] * new)
        found.special_mask.extend([slot.sequence is None] * new)
    return found


def pieces_of_words(
    words: Sequence[str], parts: Iterable[Pieces], unknown: Callable[[int], tuple[int, str]], *, joined: bool
) -> Pieces:
    """Returns the pieces of words that were cut one by one; a word that gives none is the unknown token.

    Args:
        words: the words.
        parts: the pieces of each.
        unknown: the id and form of the unknown token, for a word that has no piece; the argument is its number.
        joined: whether each word but the first was cut with a space in front, which its offsets count.
    """
    ids: list[int] = []
    tokens: list[str] = []
    offsets: list[tuple[int, int]] = []
    word_ids: list[int] = []
    for number, (word, part) in enumerate(zip(words, parts, strict=True)):
        if not part.ids:
            id, token = unknown(number)
            part = Pieces([id], [token], [(0, len(word))], [0])
        elif joined and number:
            moved = [(max(0, start - 1), max(0, end - 1)) for start, end in part.offsets]
            part = Pieces(part.ids, part.tokens, moved, part.word_ids)
        ids += part.ids
        tokens += part.tokens
        offsets += part.offsets
        word_ids += [number] * len(part)
    return Pieces(ids, tokens, offsets, word_ids)


def kept_lengths(lengths: Sequence[int], room: int, truncation: str) -> list[int]:
    """Returns how many pieces of each text stay, so that they are at most ``room`` together.

    ``longest_first`` takes from the longer text; what cannot be shared evenly goes to the longer one, and to the
    second of two equal ones.

    >>> kept_lengths([9, 3], 8, "longest_first"), kept_lengths([9, 9], 5, "longest_first")
    ([5, 3], [2, 3])

    Raises:
        InputError: the texts do not fit, and may not be cut or cannot be cut enough.
    """
    if truncation not in _TRUNCATIONS:
        raise InputError(f"unknown truncation {truncation!r}: {did_you_mean(truncation, _TRUNCATIONS)}")
    if truncation == "only_second" and len(lengths) == 1:
        raise InputError("truncation 'only_second' needs a pair, and there is one text: choose 'only_first'")
    total = sum(lengths)
    if total <= room:
        return list(lengths)
    if truncation == "refuse":
        raise InputError(
            f"{total} tokens, room for {max(0, room)} beside the special tokens: shorten the text, or choose a"
            " truncation (longest_first, only_first, only_second) or windows"
        )
    if room < 0:
        raise InputError(f"the special tokens alone are {-room} more than the length allows: raise max_length")
    if truncation != "longest_first":
        at = ("only_first", "only_second").index(truncation)
        left = room - (total - lengths[at])
        if left < (len(lengths) > 1):
            raise InputError(
                f"truncation {truncation!r} would have to remove {total - room} tokens of {lengths[at]}: the other text"
                f" alone has {total - lengths[at]}, and there is room for {room}; choose 'longest_first'"
            )
        return [left if i == at else length for i, length in enumerate(lengths)]
    if len(lengths) == 1:
        return [room]
    first_is_longer = lengths[0] > lengths[1]
    short = min(min(lengths), room // 2)
    long = room - short
    return [long, short] if first_is_longer else [short, long]


def window_starts(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Returns the windows of a text, each of at most ``room`` pieces, ``stride`` of them shared with the one before.

    >>> window_starts(10, 4, 1), window_starts(0, 4, 1)
    ([(0, 4), (3, 7), (6, 10)], [(0, 0)])

    Raises:
        InputError: there is no room, or the windows would not move on.
    """
    if stride < 0:
        raise InputError(f"stride {stride}: expected the tokens that windows share, 0 or more")
    if length <= room:
        return [(0, length)]
    if stride >= room:
        raise InputError(
            f"windows that share {stride} tokens (stride) need room for more than {stride}, and there is room for"
            f" {max(0, room)} beside the special tokens and the other text: lower the stride, or raise max_length"
        )
    starts = range(0, length - stride, room - stride)
    return [(start, min(start + room, length)) for start in starts]
