# SPDX-License-Identifier: BSD-2-Clause
"""Examples as readers return them: typed, with the place they came from, and independent of any model."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = ["Labeled", "Picture", "Text", "Tokens"]


@dataclass(slots=True)
class Tokens:
    """A sentence as tokens, with their tags if the file has them.

    Attributes:
        tokens: the forms, in order.
        tags: one tag per token, or None if there are none.
        line: the line of the first token in its file, counted from 1 (0: not from a file).
        path: the file, where it comes from one.
        text: the text as it was given, or None if only tokens were given.
        offsets: the place of each token in ``text``, in code points, half-open; None without a text.
        breaks: the tokens (indices) at which a new window begins, for texts that are read in windows.
        window: the number of this piece among the windows that its sentence was cut into.
        continued: whether the cut before this window goes through a span.

    >>> Tokens(["Ada", "coded"], ["B-person", "O"])
    Tokens(tokens=['Ada', 'coded'], tags=['B-person', 'O'], line=0)
    """

    tokens: list[str]
    tags: list[str] | None = None
    line: int = 0
    text: str | None = field(default=None, repr=False)
    offsets: list[tuple[int, int]] | None = field(default=None, repr=False)
    breaks: tuple[int, ...] = field(default=(), repr=False)
    path: Path | None = field(default=None, repr=False)
    window: int = field(default=0, repr=False)
    continued: bool = field(default=False, repr=False)

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(slots=True)
class Labeled:
    """A text, or a pair of texts, with its label.

    Attributes:
        text: the text, or the first one of a pair.
        label: its label, or None if there is none.
        line: the line in which it begins, counted from 1 (0: not from a file).
        pair: the second text of a pair.
    """

    text: str
    label: str | None = None
    line: int = 0
    pair: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Text:
    """A running text, or a prompt to be continued."""

    text: str
    line: int = 0


@dataclass(slots=True, eq=False)
class Picture:
    """A grey picture, pixels [height, width] of any numeric type, with its label if there is one."""

    pixels: np.ndarray
    label: int | None = None
