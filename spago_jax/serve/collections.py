# SPDX-License-Identifier: BSD-2-Clause
"""Collection: passages with their vectors, searched, changed and read by models of an engine."""

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spago_jax.errors import InputError, did_you_mean
from spago_jax.serve.engine import Engine, Outcome, Request
from spago_jax.serve.engine.problems import Conflict, Refused, Unavailable, Unknown
from spago_jax.serve.words import WordIndex, joined
from spago_jax.tasks.passage_search.index import Passage, PassageIndex

Filter = Mapping[str, str | Sequence[str]]
Mode = Literal["dense", "words", "hybrid"]
"""By the cosine of vectors, by the words that passages share with a question, or by both rankings joined."""
_DEPTH = 100  # passages of each ranking that are joined, at least


@dataclasses.dataclass(frozen=True)
class Hit:
    """A passage that was found.

    Attributes:
        passage: the passage.
        score: the cosine of its vector and the question's; its BM25 for ``words``; that of the joined ranks for
            ``hybrid``.
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
        folder: where changes are kept; None where it cannot be changed.

    Attributes:
        index: the passages as they are; a change puts another one in its place.
    """

    def __init__(
        self, name: str, index: PassageIndex, encoder: str, reader: str | None = None, folder: str | Path | None = None
    ):
        self.name, self.index, self.encoder, self.reader = name, index, encoder, reader
        self.folder = None if folder is None else Path(folder)
        self._changing, self._making = threading.Lock(), threading.Lock()
        self._words: tuple[PassageIndex, WordIndex] | None = None

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
        self,
        question: str,
        outcome: Outcome | None,
        count: int,
        least: float | None = None,
        wanted: Filter | None = None,
        mode: Mode = "dense",
    ) -> list[Hit]:
        """Returns the passages nearest to a question, the nearest first.

        Args:
            question: in words.
            outcome: of the question, encoded; ``words`` does without.
            count: how many passages.
            least: less similar ones are left out, by the cosine.
            wanted: fields (``id``, ``title``, or one of the metadata) and the values that they may have.
            mode: what is compared.

        Raises:
            Refused: for a question of another size than the passages.
        """
        index = self.index  # a change that comes meanwhile is for the next question
        kept = None
        if wanted:
            kept = np.array([n for n, each in enumerate(index.passages) if _fits(each, wanted)], np.int64)
        deep = count if mode != "hybrid" else max(count, _DEPTH)
        rankings = []
        if mode != "words":
            assert outcome is not None
            rankings.append(_by_vectors(index, outcome, deep, least, kept))
        if mode != "dense":
            numbers, scores = self._words_of(index).nearest(question, deep, kept)
            rankings.append(list(zip(numbers.tolist(), scores.tolist(), strict=True)))
        found = rankings[0]
        if mode == "hybrid":
            found = joined([[number for number, _ in ranking] for ranking in rankings], count)
        return [Hit(index.passages[number], score) for number, score in found]

    def _words_of(self, index: PassageIndex) -> WordIndex:
        """The words of the passages; made when they are first asked for."""
        with self._making:
            if self._words is None or self._words[0] is not index:
                self._words = index, WordIndex(each.text for each in index.passages)
            return self._words[1]

    # -- changes -----------------------------------------------------------------------------------------------------

    def check_changes(self, engine: Engine) -> None:
        """Checks that passages may be added and removed.

        Raises:
            Conflict: for a collection without a folder of its own, or whose encoder is another one by now.
        """
        if self.folder is None:
            raise Conflict(f"the passages of {self.name!r} are not those of a folder, and cannot be changed")
        try:
            self.check(engine)
        except InputError as error:
            raise Conflict(str(error)) from None

    def add(self, passages: Sequence[Passage], vectors: np.ndarray, *, replace: bool = False) -> int:
        """Adds passages, on disk and then here; all of them, or none.

        Args:
            passages: what can then be found.
            vectors: one per passage.
            replace: whether passages with these ids give way.

        Returns:
            How many passages gave way.

        Raises:
            Conflict: for an id that is there already.
            Refused: for vectors of another size.
        """
        ids = [each.id for each in passages]
        if twice := [name for name in ids if ids.count(name) > 1]:
            raise Refused(f"id {twice[0]!r} occurs twice", field="passages")
        with self._changing:
            index = self.index
            if vectors.shape[1] != index.vectors.shape[1]:
                raise _other_size(vectors.shape[1], index)
            kept = np.array([each.id not in set(ids) for each in index.passages], bool)
            gone = int(len(kept) - kept.sum())
            if gone and not replace:
                taken = next(each.id for each in index.passages if each.id in set(ids))
                raise Conflict(f"there is a passage {taken!r}", field="passages", hint="set replace, or choose an id")
            units = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
            rows = np.concatenate([np.asarray(index.vectors)[kept], units.astype(np.float32)])
            self._put([*_where(index.passages, kept), *passages], rows)
        return gone

    def remove(self, ids: Sequence[str]) -> int:
        """Removes passages, on disk and then here; all of them, or none. Returns how many there were.

        Raises:
            Unknown: for an id that there is not.
        """
        with self._changing:
            index, wanted = self.index, set(ids)
            known = {each.id for each in index.passages}
            if missing := sorted(wanted - known):
                raise Unknown(f"no passage {missing[0]!r}", field="id", hint=did_you_mean(missing[0], sorted(known)))
            kept = np.array([each.id not in wanted for each in index.passages], bool)
            self._put(_where(index.passages, kept), np.asarray(index.vectors)[kept])
            return int(len(kept) - kept.sum())

    def _put(self, passages: Sequence[Passage], vectors: np.ndarray) -> None:
        assert self.folder is not None
        PassageIndex(passages, vectors, self.index.about, "exact").save(self.folder, overwrite=True)
        self.index = PassageIndex.open(self.folder)

    # -- answers -----------------------------------------------------------------------------------------------------

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


def _by_vectors(
    index: PassageIndex, outcome: Outcome, count: int, least: float | None, kept: np.ndarray | None
) -> list[tuple[int, float]]:
    vector = np.asarray(getattr(outcome.answer, "vector"), np.float32)  # noqa: B009
    if vector.shape != index.vectors.shape[1:]:
        raise _other_size(len(vector), index)
    vector = vector / max(float(np.linalg.norm(vector)), 1e-12)
    if kept is not None:
        scores = np.asarray(index.vectors[kept]) @ vector
        order = np.argsort(-scores, kind="stable")[:count]
        found = zip(kept[order].tolist(), scores[order].tolist(), strict=True)
    else:
        numbers, cosines = index.nearest(vector[None], count)
        found = zip(numbers[0].tolist(), cosines[0].tolist(), strict=True)
    return [(number, score) for number, score in found if least is None or score >= least]


def _other_size(features: int, index: PassageIndex) -> Refused:
    return Refused(
        f"the encoder gives {features} numbers, and the passages have {index.vectors.shape[1]}", hint="index them again"
    )


def _where(passages: Sequence[Passage], kept: np.ndarray) -> list[Passage]:
    return [each for each, stays in zip(passages, kept.tolist(), strict=True) if stays]


def _fits(passage: Passage, wanted: Filter) -> bool:
    for name, values in wanted.items():
        has = passage.metadata.get(name, getattr(passage, name, None) if name in ("id", "title") else None)
        if has not in ((values,) if isinstance(values, str) else tuple(values)):
            return False
    return True
