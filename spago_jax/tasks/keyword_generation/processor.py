# SPDX-License-Identifier: BSD-2-Clause
"""The processor of keyword generation."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from spago_jax.data.examples import Parallel
from spago_jax.data.processor import Paint
from spago_jax.tasks.text_to_text.answer import WrittenText, WrittenTexts
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor


@dataclasses.dataclass(frozen=True)
class Keywords(WrittenTexts):
    """The keywords of a text.

    Attributes:
        keywords: those of all texts that were written, each once, in their order.
    """

    keywords: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The keywords beside the texts that were written."""
        return super().to_dict() | {"keywords": list(self.keywords)}

    def to_text(self, paint: Paint | None = None) -> str:
        """The keywords, apart by semicolons."""
        return "; ".join(self.keywords) + "\n"


class KeywordProcessor(TextToTextProcessor):
    """Texts to ids, and ids to keywords apart by semicolons, as KeyBART writes them."""

    task: ClassVar[str] = "keyword-generation"

    def answer(self, example: Parallel, texts: Sequence[WrittenText]) -> Keywords:
        """The keywords of the texts that were written."""
        found = keywords_of([text.text for text in texts])
        return Keywords(example.source, tuple(texts), example.line, found)


def keywords_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Returns the keywords of lists apart by semicolons, each once, whatever its case.

    >>> keywords_of(["neural networks; parsing;", "Parsing;syntax"])
    ('neural networks', 'parsing', 'syntax')
    """
    found: dict[str, str] = {}
    for text in texts:
        for part in text.split(";"):
            if part.strip():
                found.setdefault(part.strip().casefold(), part.strip())
    return tuple(found.values())
