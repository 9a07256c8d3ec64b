# SPDX-License-Identifier: BSD-2-Clause
"""Examples as readers return them: typed, with the place they came from, and independent of any model."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

__all__ = ["Frame", "Labeled", "Parallel", "Picture", "Question", "Text", "Tokens"]


@dataclass(slots=True)
class Frame:
    """The lines of a file that a sentence stands in, kept so that they can be written again with predicted tags.

    Attributes:
        lines: the lines, without their ends: tokens, comments and whatever else stands between them.
        rows: the line of each token, as an index into ``lines``.
        separator: what separates columns.
        column: the column that a predicted tag replaces; None to add one at the end.
    """

    lines: list[str]
    rows: list[int]
    separator: str = "\t"
    column: int | None = None

    def with_tags(self, tags: Sequence[str]) -> str:
        """Returns the lines with one tag per token, and a blank line at the end.

        >>> Frame(["# id 7", "Ada\\tNNP"], [1]).with_tags(["B-person"])
        '# id 7\\nAda\\tNNP\\tB-person\\n\\n'
        """
        lines = list(self.lines)
        for row, tag in zip(self.rows, tags, strict=True):
            fields = lines[row].split(self.separator)
            if self.column is None:
                fields.append(tag)
            else:
                fields[self.column] = tag
            lines[row] = self.separator.join(fields)
        if self.column is None:  # the marks between documents have a tag too, for scorers that count columns
            lines = [f"{line}{self.separator}O" if line.startswith("-DOCSTART-") else line for line in lines]
        return "\n".join(lines) + "\n\n"


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
        frame: the lines of the file that it stands in, where the answer is to be written into them.
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
    frame: Frame | None = field(default=None, repr=False)
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
        labels: its labels where it may have several, or none of them; ``label`` is then None.
    """

    text: str
    label: str | None = None
    line: int = 0
    pair: str | None = field(default=None, repr=False)
    labels: tuple[str, ...] | None = field(default=None, repr=False)


@dataclass(slots=True)
class Parallel:
    """A text with the text that is to be written for it: its translation, its summary, its answer.

    Attributes:
        source: the text that is read.
        target: the text that is written, or None where it is not known.
        line: the line in which it begins, counted from 1 (0: not from a file).
    """

    source: str
    target: str | None = None
    line: int = 0


@dataclass(slots=True)
class Question:
    """A question about a passage, with the pieces of the passage that answer it.

    Attributes:
        id: the name of the question, by which answers are matched with it.
        question: the question.
        passage: the text that the answer stands in.
        answers: the right answers, each with the place where it begins, in code points:
            ``passage[start : start + len(text)] == text``.
        impossible: whether the passage is known to hold no answer.
        line: the number of the question in its file, counted from 1 (0: not from a file).
        title: the title of the document, if the file has one.
    """

    id: str
    question: str
    passage: str
    answers: tuple[tuple[str, int], ...] = ()
    impossible: bool = False
    line: int = 0
    title: str | None = field(default=None, repr=False)


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
