# SPDX-License-Identifier: BSD-2-Clause
"""Labels as colours of the terminal (ANSI), or as words where there are none."""

from collections.abc import Iterable, Sequence

Place = tuple[tuple[int, int], tuple[int, int]]

# 256-colour codes that can be told apart on dark and on light grounds.
_CODES = (33, 166, 71, 162, 136, 99, 37, 196, 25, 130, 64, 133, 202, 30, 168, 58, 61, 172, 29, 125, 94, 67, 160, 96)
_QUIET = {"operator", "punctuation", "comment"}


def palette(labels: Sequence[str]) -> dict[str, int]:
    """A colour for each label, the same for the same labels."""
    return {label: _CODES[i % len(_CODES)] for i, label in enumerate(labels)}


def paint(text: str, label: str, colours: dict[str, int], coloured: bool) -> str:
    """A piece of text with its label.

    >>> paint("Paris", "location", {}, False)
    '[Paris](location)'
    """
    if not coloured:
        return f"[{text}]({label})"
    return f"\x1b[38;5;{colours.get(label, 245)}m{text}\x1b[2m/{label}\x1b[0m"


def paint_source(text: str, places: Iterable[tuple[Place, str]], labels: Sequence[str], coloured: bool) -> str:
    """A source text with each token in the colour of its role, and the key to the colours under it.

    Without colours, one line a token: its place, the token, its role.
    """
    colours = palette(sorted(labels))
    lines = text.splitlines(keepends=True)
    if not coloured:
        return "".join(
            f"{row}:{column + 1}\t{_piece(lines, ((row, column), end))!r}\t{label}\n"
            for ((row, column), end), label in places
        )
    out: list[str] = []
    at = (1, 0)
    for (start, end), label in places:
        out.append(_piece(lines, (at, start)))
        code = "2" if label in _QUIET else f"38;5;{colours[label]}"
        # Colours do not run over line ends: pagers reset them there.
        out.append("\n".join(f"\x1b[{code}m{part}\x1b[0m" for part in _piece(lines, (start, end)).split("\n")))
        at = end
    out.append(_piece(lines, (at, (len(lines) + 1, 0))))
    key = "  ".join(f"\x1b[38;5;{colours[label]}m{label}\x1b[0m" for label in sorted(labels) if label not in _QUIET)
    return "".join(out) + ("" if text.endswith("\n") else "\n") + f"\n\x1b[2mroles:\x1b[0m {key}\n"


def _piece(lines: Sequence[str], place: Place) -> str:
    """The text between two places; rows count from 1, columns from 0."""
    (row, column), (last, end) = place
    if row == last:
        return lines[row - 1][column:end] if row <= len(lines) else ""
    middle = lines[row : last - 1]
    tail = lines[last - 1][:end] if last <= len(lines) else ""
    return (lines[row - 1][column:] if row <= len(lines) else "") + "".join(middle) + tail
