# SPDX-License-Identifier: BSD-2-Clause
"""Where the sentences of a text end, and how texts are put together again."""

import re
from collections.abc import Sequence

__all__ = ["joined", "sentence_spans", "written_without_blanks"]

_END = re.compile(
    r"""
      [。！？｡]+[”’」』）)\]]*\s*          # marks of scripts without blanks
    | [.!?…]+['"”’»)\]]*\s+              # a mark, with what closes behind it, and a blank
    | \s*\n\s*                           # the end of a line
    """,
    re.VERBOSE,
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Mt|Jr|Sr|vs|cf|al|Inc|Ltd|Co|approx|e\.g|i\.e|"
    r"(?:[^\W\d_]\.)+[^\W\d_])\.$"
)

_BEFORE_NUMBERS = re.compile(r"(?:^|[\s(\[])(?:No|Nos|Fig|Figs|Eq|Vol|Ch|Sec|p|pp)\.$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Returns the places of a text's sentences, in code points, without the blanks around them.

    A sentence ends at a full stop, a question mark or an exclamation mark before a blank, at those of Chinese and
    Japanese, and at the end of a line; not after an abbreviation, an initial, or before a small letter. Together the
    spans hold every character of the text that is not a blank.

    >>> text = "Dr. Ito came. 他走了。她笑！ Why? no one"
    >>> [text[start:end] for start, end in sentence_spans(text)]
    ['Dr. Ito came.', '他走了。', '她笑！', 'Why? no one']
    """
    found, start = [], 0
    for match in _END.finditer(text):
        end = match.end()
        mark = match.group().strip()
        if mark and mark[0] in ".!?…":
            if text[end : end + 1].islower():
                continue
            before = text[start : match.start() + 1]
            if mark == "." and (
                _ABBREVIATION.search(before) or (text[end : end + 1].isdigit() and _BEFORE_NUMBERS.search(before))
            ):
                continue
        _add(found, text, start, end)
        start = end
    _add(found, text, start, len(text))
    return found


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    kept = piece.strip()
    if kept:
        begin = start + piece.index(kept[0])
        found.append((begin, begin + len(kept)))


def joined(texts: Sequence[str]) -> str:
    """Returns texts as one, a blank between two unless the script has none there.

    >>> joined(["One.", "Two."]), joined(["他走了。", "她笑。"])
    ('One. Two.', '他走了。她笑。')
    """
    found = ""
    for text in filter(None, (text.strip() for text in texts)):
        close = found and (_closes(found[-1]) or written_without_blanks(found[-1])) and written_without_blanks(text[0])
        found += text if close or not found else f" {text}"
    return found


def _closes(char: str) -> bool:
    return char in "。！？｡」』）”’"


def written_without_blanks(char: str) -> bool:
    """Whether a character is of a script without blanks: Chinese, Japanese, Thai, Lao, Khmer or Burmese.

    >>> written_without_blanks("他"), written_without_blanks("a")
    (True, False)
    """
    code = ord(char)
    return (
        0x0E00 <= code <= 0x0EFF  # Thai, Lao
        or 0x1000 <= code <= 0x109F  # Burmese
        or 0x1780 <= code <= 0x17FF  # Khmer
        or 0x3040 <= code <= 0x30FF  # kana
        or 0x3400 <= code <= 0x9FFF  # ideographs
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
    )
