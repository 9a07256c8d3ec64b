# SPDX-License-Identifier: BSD-2-Clause
"""A sentence as the readers give it: tokens and, where the file has them, their tags."""

from dataclasses import dataclass

__all__ = ["Sentence"]


@dataclass(slots=True)
class Sentence:
    """Tokens and their tags.

    Attributes:
        tokens: the forms, in order.
        tags: as many tags as tokens, or None where the file has no tag column.
        line: the line of the first token in its file, counted from 1 (0: not from a file).

    >>> Sentence(["Ada", "coded"], ["B-person", "O"])
    Sentence(tokens=['Ada', 'coded'], tags=['B-person', 'O'], line=0)
    """

    tokens: list[str]
    tags: list[str] | None = None
    line: int = 0

    def __len__(self) -> int:
        return len(self.tokens)
