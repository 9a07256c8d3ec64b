# SPDX-License-Identifier: BSD-2-Clause
"""``task: question-answering``."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from spago_jax.data.formats.reader import Reader
from spago_jax.data.formats.squad import Squad, read_squad
from spago_jax.data.notes import Notes
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.pretrained.task import EncoderTask
from spago_jax.tasks.question_answering.config import QuestionModelConfig, QuestionTrainConfig
from spago_jax.tasks.question_answering.objective import SpanObjective
from spago_jax.tasks.question_answering.predictor import QuestionAnswering, QuestionOptions
from spago_jax.tasks.question_answering.processor import QuestionProcessor
from spago_jax.tasks.question_answering.rows import span_rows
from spago_jax.tasks.question_answering.scores import SpanScorer
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Score

_BY_KIND = tuple(f"{name}/{kind}" for kind in ("answerable", "impossible") for name in ("exact_match", "f1"))


class TrainedQuestionAnswering(EncoderTask):
    """The spans of a passage that answer a question, or none where the passage does not say."""

    name = "question-answering"
    readers: ClassVar[tuple[type[Reader], ...]] = (Squad,)
    ModelConfig = QuestionModelConfig
    TrainConfig = QuestionTrainConfig
    Options = QuestionOptions
    scores: ClassVar[tuple[Score, ...]] = (
        Score("f1"),
        Score("exact_match"),
        Score("loss", "min"),
        *(Score(name) for name in _BY_KIND),
    )
    input_formats = ("lines", "json", "jsonl")
    processor_class = QuestionProcessor
    predictor_class = QuestionAnswering

    @classmethod
    def processor_for(cls, experiment: Experiment, tokenizer: SubwordTokenizer, max_length: int) -> QuestionProcessor:
        """The training data say whether questions may lack an answer, unless the config does."""
        config, no_answer = experiment.model, experiment.model.no_answer
        if no_answer is None:
            no_answer = any(question.impossible for question in experiment.data.read("train"))
        return QuestionProcessor(tokenizer, max_length, config.stride, config.max_answer_length, no_answer)

    def make_objective(self) -> SpanObjective:
        """The cross-entropies of the first and the last piece."""
        return SpanObjective(self.processor)

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Reads one part of the data, or other files of the same format."""
        notes = Notes()
        questions = self.experiment.data.read(split, files, notes=notes)
        self.parts[split] = span_rows(self.processor, questions, notes)
        self.notes[split] = notes

    @classmethod
    def expected_scores(cls, experiment: Experiment) -> tuple[str, ...]:
        """F1, exact match and loss."""
        return tuple(score.name for score in cls.scores if score.name not in _BY_KIND)

    def score_names(self) -> tuple[str, ...]:
        """Those of each kind of question as well, where a part has questions without an answer."""
        impossible = any(question.impossible for rows in self.parts.values() for question in rows.questions)
        return (*self.expected_scores(self.experiment), *(_BY_KIND if impossible else ()))

    def scorer(self, split: str) -> SpanScorer:
        """Exact match and F1 of the answers that users would get."""
        return SpanScorer(self.processor, self.parts[split])

    def examples(self, source: InputFile) -> Iterator[Any]:
        """The questions of a file in SQuAD's format, records of ``question`` and ``passage``, or one question a line.

        Questions that are lines need the option ``passage``.
        """
        kind = source.file_format or {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(source.suffix)
        if kind == "json":
            yield from read_squad(source.path)
        elif kind == "jsonl":
            yield from source.made_of_lines(
                lambda line, number: self.processor.example({"id": number, **json.loads(line)}), "question and passage"
            )
        else:
            yield from source.lines()
