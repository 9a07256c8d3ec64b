# SPDX-License-Identifier: BSD-2-Clause
"""Collection: passages with their vectors, searched and read by models of an engine."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spago_jax.errors import InputError
from spago_jax.serve.engine import Engine, Outcome, Request
from spago_jax.serve.engine.problems import Refused, Unavailable
from spago_jax.tasks.passage_search.index import Passage, PassageIndex

Filter = Mapping[str, str | Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Hit:
    """A passage that was found.

    Attributes:
        passage: the passage.
        score: the cosine of its vector and the question's.
    """

    passage: Passage
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain JSON."""
        found = self.passage
        return {
            "id": found.id,
            "score": self.score,
            "title": found.title,
            "text": found.text,
            "metadata": dict(found.metadata),
        }


class Collection:
    """Passages that can be searched.

    Args:
        name: by which requests name it.
        index: the passages with their vectors.
        encoder: the name of the model that encodes questions.
        reader: the name of a model that finds answers in passages.
    """

    def __init__(self, name: str, index: PassageIndex, encoder: str, reader: str | None = None):
        self.name, self.index, self.encoder, self.reader = name, index, encoder, reader

    def about(self) -> dict[str, Any]:
        """Returns what is said about it."""
        return {"name": self.name, "passages": len(self.index), "encoder": self.encoder, "reader": self.reader}

    def check(self, engine: Engine) -> None:
        """Checks that questions are encoded as the passages were.

        Raises:
            InputError: for another encoder.
        """
        served = engine.model(self.encoder)
        made, has = self.index.about.get("revision"), served.revision
        if made and has and made != has:
            raise InputError(
                f"collection {self.name!r}: its passages were encoded by revision {made} of "
                f"{self.index.about.get('encoder')!r}, and {self.encoder!r} is revision {has}; index them again"
            )

    def ask(self, engine: Engine, question: str, timeout: float | None) -> Request:
        """Lets a question be encoded."""
        if self.encoder not in engine.models:
            raise Unavailable(f"the encoder of {self.name!r} is being loaded", retry_after=5)
        return engine.submit(self.encoder, [question], timeout=timeout)

    def nearest(
        self, outcome: Outcome, count: int, least: float | None = None, wanted: Filter | None = None
    ) -> list[Hit]:
        """Returns the passages nearest to a question that was encoded, the nearest first.

        Args:
            outcome: of the question.
            count: how many passages.
            least: less similar ones are left out.
            wanted: fields (``id``, ``title``, or one of the metadata) and the values that they may have.

        Raises:
            Refused: for a question of another size than the passages.
        """
        vector = np.asarray(getattr(outcome.answer, "vector"), np.float32)  # noqa: B009
        if vector.shape != self.index.vectors.shape[1:]:
            raise Refused(
                f"the encoder gives {len(vector)} numbers, and the passages have {self.index.vectors.shape[1]}",
                hint="index them again",
            )
        vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
        if wanted:
            kept = np.array([n for n, each in enumerate(self.index.passages) if _fits(each, wanted)], np.int64)
            scores = np.asarray(self.index.vectors[kept]) @ vector
            order = np.argsort(-scores, kind="stable")[:count]
            found = zip(kept[order].tolist(), scores[order].tolist(), strict=True)
        else:
            numbers, cosines = self.index.nearest(vector[None], count)
            found = zip(numbers[0].tolist(), cosines[0].tolist(), strict=True)
        return [Hit(self.index.passages[n], score) for n, score in found if least is None or score >= least]

    def read(
        self, engine: Engine, question: str, hits: Sequence[Hit], count: int, timeout: float | None
    ) -> Request | None:
        """Lets passages be read, all in one request; None where there are none.

        Raises:
            Refused: where the collection has no reader.
        """
        if self.reader is None:
            raise Refused(f"collection {self.name!r} has no reader", hint="serve a model of question-answering with it")
        if not hits:
            return None
        inputs = [{"question": question, "passage": hit.passage.text} for hit in hits]
        return engine.submit(self.reader, inputs, {"top_k": count, "no_answer": True}, timeout=timeout)

    def best(
        self, hits: Sequence[Hit], outcomes: Sequence[Outcome], count: int, least: float | None
    ) -> list[dict[str, Any]]:
        """Returns the best answers over all passages; none where every passage says nothing.

        The score is the logit of a span over that of "the passage does not say", ``start + end - none``, which can be
        compared between passages, as probabilities within a passage cannot; of equal ones, that of the passage nearer
        to the question is first.
        """
        found = []
        for place, (hit, outcome) in enumerate(zip(hits, outcomes, strict=True)):
            for span in getattr(outcome.answer, "answers", ()):
                if not span.text or (span.margin < 0 if least is None else span.margin < least):
                    continue
                about = hit.passage
                answer = {"text": span.text, "start": span.start, "end": span.end, "score": span.margin}
                passage = {"id": about.id, "title": about.title, "text": about.text, "score": hit.score}
                found.append((-span.margin, place, {**answer, "passage": passage}))
        return [answer for *_, answer in sorted(found, key=lambda each: each[:2])[:count]]


def _fits(passage: Passage, wanted: Filter) -> bool:
    for name, values in wanted.items():
        has = passage.metadata.get(name, getattr(passage, name, None) if name in ("id", "title") else None)
        if has not in ((values,) if isinstance(values, str) else tuple(values)):
            return False
    return True
