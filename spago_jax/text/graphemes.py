# SPDX-License-Identifier: BSD-2-Clause
"""Cutting a text with a pattern, but never within a character as people see it: a letter with its marks, an emoji."""

import re
import unicodedata

__all__ = ["MARK", "cut"]

MARK = "\ufdd0"
"""Stands in a pattern for whatever belongs to the character before it: combining marks, joiners, skin tones.

It is one of Unicode's noncharacters, which texts do not hold, and neither ``\\w`` nor ``\\s``.
"""

# Beside the categories Mn, Mc and Me: what Unicode joins to the character before it (UAX 29, Grapheme_Extend), and the
# soft hyphen and the word joiner, which stand within words.
_FURTHER = {0xAD, 0x0E33, 0x0EB3, 0x200C, 0x200D, 0x2060, 0xFF9E, 0xFF9F, *range(0x1F3FB, 0x1F400)}
_FURTHER |= {*range(0xE0020, 0xE0080)}
_BEFORE = (  # belongs to the character after it (UAX 29, Prepend)
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd\U000111c2\U000111c3\U0001193f\U00011941"
    "\U00011a84-\U00011a89\U00011d46"
)
_FLAG = "\U0001f1e6-\U0001f1ff"  # two of these letters make a flag
_STICKY = re.compile(f"[{_BEFORE}{_FLAG}\u200d]")
_PREPEND = re.compile(f"[{_BEFORE}]")
_FLAG_LETTER = re.compile(f"[{_FLAG}]")
_PICTURE = re.compile(r"[^\w\s\x00-\x7f]|\u2139")  # and more, which does no harm


class _Shadow(dict[int, int]):
    """Code points to themselves, or to MARK, each looked up once."""

    def __missing__(self, point: int) -> int:
        joins = point in _FURTHER or unicodedata.category(chr(point))[0] == "M"
        found = self[point] = ord(MARK) if joins else point
        return found


_SHADOW = _Shadow()


def cut(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    """Returns the places of a pattern's matches, in code points; those that part a grapheme are one match.

    Args:
        pattern: matches all but white space, where marks and joiners are written as ``MARK``, which may follow every
            character that it takes.
        text: the text.

    >>> cut(re.compile(rf"[\\w{MARK}]+|[^\\w\\s]{MARK}*"), "cafe\u0301! \U0001f469\u200d\U0001f4bb")
    [(0, 5), (5, 6), (7, 10)]
    """
    if text.isascii():
        return [match.span() for match in pattern.finditer(text)]
    spans = [match.span() for match in pattern.finditer(text.translate(_SHADOW))]
    if not _STICKY.search(text):
        return spans
    whole: list[tuple[int, int]] = []
    for start, end in spans:
        if whole and whole[-1][1] == start and _sticks(text, whole[-1][0], start):
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole


def _sticks(text: str, begin: int, at: int) -> bool:
    """Whether the match before a place, from ``begin``, goes on there for other reasons than a MARK (UAX 29)."""
    before, after = text[at - 1], text[at]
    if _PREPEND.match(before):
        return True
    if before == "\u200d" and _PICTURE.match(after):
        base = at - 1
        while base > begin and _SHADOW[ord(text[base])] == ord(MARK):
            base -= 1
        return bool(_PICTURE.match(text[base]))
    first = at
    while first > begin and _FLAG_LETTER.match(text[first - 1]):
        first -= 1
    return bool(_FLAG_LETTER.match(after)) and (at - first) % 2 == 1
