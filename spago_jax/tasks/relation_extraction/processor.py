# SPDX-License-Identifier: BSD-2-Clause
"""The processor of relation extraction: relations from the text that a model such as REBEL writes."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from spago_jax.data.examples import Parallel
from spago_jax.data.processor import Paint
from spago_jax.tasks.text_to_text.answer import WrittenText, WrittenTexts
from spago_jax.tasks.text_to_text.processor import TextToTextProcessor

_MARK = re.compile(r"<(triplet|subj|obj)>")


class Relation(NamedTuple):
    """One relation: the subject, the name of the relation, and the object."""

    subject: str
    relation: str
    object: str


@dataclasses.dataclass(frozen=True)
class Relations(WrittenTexts):
    """The relations of a text.

    Attributes:
        relations: those of all texts that were written, each once, in their order.
    """

    relations: tuple[Relation, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The relations beside the texts that were written."""
        return super().to_dict() | {"relations": [relation._asdict() for relation in self.relations]}

    def to_text(self, paint: Paint | None = None) -> str:
        """One relation per line: subject, relation and object, apart by tabs; ``-`` where there is none."""
        return "".join("\t".join(relation) + "\n" for relation in self.relations) or "-\n"


class RelationProcessor(TextToTextProcessor):
    """Texts to ids, and ids to relations; the marks between their parts are special tokens, which are kept."""

    task: ClassVar[str] = "relation-extraction"
    keep_special: ClassVar[bool] = True

    def answer(self, example: Parallel, texts: Sequence[WrittenText]) -> Relations:
        """The relations of the texts that were written."""
        found = dict.fromkeys(relation for text in texts for relation in relations_of(text.text))
        return Relations(example.source, tuple(texts), example.line, tuple(found))


def relations_of(text: str) -> list[Relation]:
    """Returns the relations of a text ``<triplet> SUBJECT <subj> OBJECT <obj> RELATION``.

    A subject may have several objects, each after a ``<subj>`` of its own; a relation without all three parts, as where
    the text was cut off, is left out.

    Source: Huguet Cabot and Navigli (2021); cybertron's example of REBEL.

    >>> relations_of("<triplet> Ada <subj> London <obj> born in <subj> England <obj> citizen of <triplet> Bo")
    [Relation(subject='Ada', relation='born in', object='London'), \
Relation(subject='Ada', relation='citizen of', object='England')]
    """
    parts = _MARK.split(text)
    found, subject, object_ = [], "", ""
    for mark, content in zip(parts[1::2], parts[2::2], strict=True):
        content = " ".join(content.split())
        if mark == "triplet":
            subject, object_ = content, ""
        elif mark == "subj":
            object_ = content
        elif subject and object_ and content:
            found.append(Relation(subject, content, object_))
            object_ = ""
    return found
