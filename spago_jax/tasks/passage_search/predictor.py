# SPDX-License-Identifier: BSD-2-Clause
"""PassageSearch: the predictor of ``passage-search``."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field

from spago_jax.core.section import PositiveInt, Section
from spago_jax.data.processor import Answer, Findings, Paint
from spago_jax.errors import InputError
from spago_jax.interop.huggingface.locate import Download
from spago_jax.tasks.passage_search.index import Backend, Passage, PassageIndex, passages_of
from spago_jax.tasks.predictor import Predictor
from spago_jax.tasks.question_answering.answer import AnswerSpan
from spago_jax.tasks.question_answering.predictor import QuestionAnswering
from spago_jax.tasks.text_encoding.predictor import EncodingSettings, TextEncoding


@dataclasses.dataclass(frozen=True)
class FoundPassage:
    """A passage that was found.

    Attributes:
        text: the passage.
        score: the cosine of its vector and the question's.
        id: its name.
        title: its title.
        number: its place in the index.
    """

    text: str
    score: float
    id: str
    title: str
    number: int


@dataclasses.dataclass(frozen=True)
class ReadAnswer(AnswerSpan):
    """A span of one of the passages that were found, with the passage."""

    passage: FoundPassage


@dataclasses.dataclass(frozen=True)
class FoundPassages(Answer, Findings[FoundPassage]):
    """The passages nearest to a question, which it is a sequence of."""

    question: str
    passages: tuple[FoundPassage, ...]
    line: int = 0

    @property
    def findings(self) -> tuple[FoundPassage, ...]:
        """The passages."""
        return self.passages

    def to_dict(self) -> dict[str, Any]:
        """Question and passages."""
        return {"question": self.question, "passages": [dataclasses.asdict(passage) for passage in self.passages]}

    def to_text(self, paint: Paint | None = None) -> str:
        """One passage per line: score, name and text, apart by tabs."""
        return "".join(f"{p.score:.4f}\t{p.id}\t{' '.join(p.text.split())}\n" for p in self.passages)


class SearchOptions(Section):
    """How many passages are found."""

    top_k: PositiveInt = Field(default=5, description="how many passages are listed")


class SearchSettings(EncodingSettings):
    """What is searched."""

    passages: str | None = Field(default=None, description="a file of passages (.csv, .jsonl, ...), or a saved index")
    reader: str | None = Field(default=None, description="a model of question answering")


class PassageSearch(Predictor):
    """Finds the passages whose vectors are nearest to a question's, and reads answers from them.

    ``search.index(passages)`` encodes them once; ``search(question)`` finds; ``search.answer(question)`` reads the best
    passages with a model of question answering, if it was given one.

    Args:
        encoder: gives the vectors.
        reader: finds answers in passages.
    """

    Options = SearchOptions
    Settings = SearchSettings

    def __init__(self, encoder: TextEncoding, reader: QuestionAnswering | None = None, source: str = ""):
        self.name, self.encoder, self.reader, self.source = "passage-search", encoder, reader, source
        self.processor = encoder.processor
        self.passages: PassageIndex | None = None

    @classmethod
    def open(
        cls,
        source: str | Path,
        *,
        passages: Any = None,
        reader: Any = None,
        dtype: str = "float32",
        download: Download = "never",
        **settings: Any,
    ) -> Self:
        """Opens a sentence encoder, with passages and a reader if they are given.

        Args:
            source: the encoder: a folder or a name.
            passages: texts, a file of them, or the folder of a saved index.
            reader: a folder or a name of a model of question answering.
            dtype: as for ``load_pretrained``.
            download: as for ``load_pretrained``.
            settings: of the encoder's processor.
        """
        encoder = TextEncoding.open(source, dtype=dtype, download=download, **settings)
        how = {name: settings[name] for name in ("runtime", "quantize") if name in settings}
        answers = None if reader is None else QuestionAnswering.open(reader, dtype=dtype, download=download, **how)
        made = cls(encoder, answers, str(source))
        if isinstance(passages, str | Path) and (Path(passages) / "index.json").is_file():
            made.load(passages)
        elif passages is not None:
            made.index(passages)
        return made

    def index(
        self,
        passages: Any,
        *,
        backend: Backend | None = None,
        progress: Callable[[Iterable[Any], int], Iterable[Any]] | None = None,
        **columns: str,
    ) -> PassageIndex:
        """Encodes passages, to be searched from now on.

        Args:
            passages: texts, or the path of a file; see ``passages_of``.
            backend: ``exact`` or ``usearch``.
            progress: passes vectors on as they come, and is told how many there will be; it may show that.
            columns: ``text``, ``id`` and ``title``: the columns or keys of a file.
        """
        kept = list(passages_of(passages, **columns))
        if not kept:
            raise InputError("there are no passages to search")
        found = self.encoder.stream(passage.text for passage in kept)
        shown = found if progress is None else progress(found, len(kept))
        vectors = _unit(np.stack([each.vector for each in shown]))
        about = {"encoder": self.source, "features": int(vectors.shape[1])}
        self.passages = PassageIndex(kept, vectors, about, backend)
        return self.passages

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Writes the index; ``load`` reads it."""
        self._index().save(folder, overwrite=overwrite)

    def load(self, folder: str | Path, *, backend: Backend | None = None) -> PassageIndex:
        """Opens a saved index, made with the same encoder.

        Raises:
            InputError: for a folder that is not an index, or vectors of another length than this encoder's.
        """
        found = PassageIndex.open(folder, backend)
        (features,) = self.encoder("").shape
        if found.vectors.shape[1] != features:
            raise InputError(
                f"its vectors have {found.vectors.shape[1]} numbers and were made by {found.about.get('encoder')!r}; "
                f"this encoder's have {features}",
                path=folder,
            )
        self.passages = found
        return found

    def _index(self) -> PassageIndex:
        if self.passages is None:
            raise InputError("no passages yet: call index(PASSAGES) or load(FOLDER) first")
        return self.passages

    def stream(
        self, inputs: Iterable[Any], *, at_once: int | None = None, top_k: int = 5, **options: Any
    ) -> Iterator[FoundPassages]:
        """The passages for each question, as they come."""
        index = self._index()
        for found in self.encoder.stream(inputs, at_once=at_once, **options):
            numbers, scores = index.nearest(_unit(found.vector[None]), top_k)
            passages = (
                _found(index.passages[number], score, number)
                for number, score in zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
            )
            yield FoundPassages(found.text, tuple(passages), found.line)

    def __call__(self, question: str | list[str], top_k: int = 5, **options: Any) -> Any:
        """The passages nearest to a question, or to each question of a list.

        Raises:
            InputError: where there are no passages yet.
        """
        return super().__call__(question, top_k=top_k, **options)

    def answer(self, question: str, *, top_k: int = 3, passages: int = 5, **options: Any) -> list[ReadAnswer]:
        """Answers a question from the passages nearest to it.

        Args:
            question: the question.
            top_k: how many answers.
            passages: how many passages are read.
            options: of ``QuestionAnswering``.

        Returns:
            The answers, the best first: by their probability in their passage, times the passage's share
            ``exp(20 cos)`` among those that were read.

        Raises:
            InputError: where there is no reader.
        """
        if self.reader is None:
            raise InputError("no model of question answering: open the task with reader=FOLDER")
        found = self(question, top_k=passages)
        shares = np.exp(20 * np.array([passage.score - found[0].score for passage in found]))
        shares /= shares.sum()
        read = self.reader([question] * len(found), [p.text for p in found], top_k=top_k, **options)
        answers = [
            ReadAnswer(span.text, span.start, span.end, span.score * float(share), passage)
            for passage, share, spans in zip(found, shares, read, strict=True)
            for span in spans
        ]
        return sorted(answers, key=lambda answer: -answer.score)[:top_k]


def _found(passage: Passage, score: float, number: int) -> FoundPassage:
    return FoundPassage(passage.text, score, passage.id, passage.title, number)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
