# SPDX-License-Identifier: BSD-2-Clause
"""Labels as colors of the terminal (ANSI)."""

from collections.abc import Sequence

# 256-color codes that can be told apart on dark and on light grounds.
_CODES = (33, 166, 71, 162, 136, 99, 37, 196, 25, 130, 64, 133, 202, 30, 168, 58, 61, 172, 29, 125, 94, 67, 160, 96)
_QUIET = {"operator", "punctuation", "comment"}


class Painter:
    """Paints pieces of text in the color of their label, the same color for the same label.

    Args:
        labels: all that there are.
        named: write the label behind each piece too; by default where there are few of them.

    >>> Painter(["location", "person"])("Paris", "location")
    '\\x1b[38;5;33mParis\\x1b[2m/location\\x1b[0m'
    """

    def __init__(self, labels: Sequence[str], *, named: bool | None = None):
        ordered = sorted(labels)
        self._named = not _QUIET & set(ordered) if named is None else named
        self._codes = {
            label: "2" if label in _QUIET else f"38;5;{_CODES[i % len(_CODES)]}" for i, label in enumerate(ordered)
        }

    def __call__(self, text: str, label: str) -> str:
        """A piece of one line."""
        name = f"\x1b[2m/{label}" if self._named else ""
        return f"\x1b[{self._codes.get(label, '38;5;245')}m{text}{name}\x1b[0m"

    def key(self) -> str:
        """The labels in their colors, as a last line."""
        shown = [f"\x1b[{code}m{label}\x1b[0m" for label, code in self._codes.items() if label not in _QUIET]
        return f"\n\x1b[2mlabels:\x1b[0m {'  '.join(shown)}\n"
