# SPDX-License-Identifier: BSD-2-Clause
"""``task: text-classification``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np

from spago_jax.data.batching import Block, LengthBatches
from spago_jax.data.cache import cached_corpus
from spago_jax.data.encoded import name_table
from spago_jax.data.encoded_examples import EncodedExamples, encode_labeled
from spago_jax.data.examples import Labeled
from spago_jax.data.formats.labeled_text import FILE_FORMATS, FileFormat, LabeledText
from spago_jax.data.formats.reader import Reader
from spago_jax.data.notes import Notes
from spago_jax.embeddings.coverage import say_coverage
from spago_jax.embeddings.stacked import GROWING, cached, check_embeddings
from spago_jax.errors import InputError
from spago_jax.tasks.class_options import AnswerOptions
from spago_jax.tasks.class_scores import ClassScorer, MultiLabelScorer, ValueScorer
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.text_classification.config import TextClassifierConfig
from spago_jax.tasks.text_classification.objective import TextClassificationObjective
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.tasks.text_classification.rows import TextRows, targets_of
from spago_jax.text.tokenizers.tokenizer import TOKENIZERS, Tokenizer, tokenizer_from
from spago_jax.train.schema import Experiment, TextClassTrainConfig
from spago_jax.train.start import indexers_of, is_fresh
from spago_jax.train.task import Objective, Score, Scorer, Scores, Task, balancing_weights, batches_by_length

_SCORES = {
    "single-label": ("accuracy", "macro_f1", "loss"),
    "multi-label": ("micro_f1", "macro_f1", "accuracy", "loss"),
    "regression": ("mean_squared_error", "pearson", "spearman", "loss"),
}


class TextClassification(Task):
    """One label, several labels or a number per text, or per pair of texts."""

    name = "text-classification"
    readers: ClassVar[tuple[type[Reader], ...]] = (LabeledText,)
    ModelConfig = TextClassifierConfig
    TrainConfig = TextClassTrainConfig
    Options = AnswerOptions
    scores: ClassVar[tuple[Score, ...]] = (
        Score("accuracy"),
        Score("micro_f1"),
        Score("macro_f1"),
        Score("mean_squared_error", "min"),
        Score("pearson"),
        Score("spearman"),
        Score("loss", "min"),
    )
    input_formats = get_args(FileFormat)
    growing = (*GROWING, "output.weight", "output.bias")
    processor_class = TextProcessor

    @classmethod
    def variant(cls, model: Mapping[str, Any]) -> type[Task]:
        """An encoder with a head of its own where the `model` section is of that kind."""
        if model.get("kind") != "encoder":
            return cls
        from spago_jax.tasks.text_classification.encoder import EncoderClassification

        return EncoderClassification

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files must be there, and the tokenizer be known."""
        experiment.data.check()
        check_embeddings(experiment.model.embeddings)
        TOKENIZERS.find(experiment.model.tokenizer)
        cls.check_problem(experiment)

    @staticmethod
    def check_problem(experiment: Experiment) -> None:
        """Refuses what does not go together, whatever the model.

        Raises:
            InputError: without training data, or for sampling that the problem does not allow.
        """
        if experiment.data.train is None:
            raise InputError("data.train is missing: there is nothing to train on")
        if experiment.train.sampling == "balanced" and experiment.model.problem != "single-label":
            raise InputError("train.sampling: balanced needs model.problem: single-label, one class per text")

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: TextProcessor | None = None) -> TextProcessor:
        """Makes the vocabularies and the classes of the training texts."""
        data, config = experiment.data, experiment.model
        tokenizer = tokenizer_from({"kind": config.tokenizer, "lowercase": config.lowercase})
        max_length, ngrams = experiment.train.max_length, None
        if config.ngrams is not None:
            ngrams = {k: v for k, v in config.ngrams.model_dump().items() if k != "size"}
        if start is not None:
            tokenizer, max_length, ngrams = start.tokenizer, start.max_length, start.ngrams
        train, _ = _corpus(data, "train", tokenizer)
        indexers = indexers_of(experiment, train.lexicon, start, train.forms)
        classes, counts, scale = cls.classes_of(experiment, tokenizer, start)
        return TextProcessor(
            tokenizer, indexers, classes, max_length, ngrams,
            problem=config.problem, paired=data.pair_field is not None, counts=counts, scale=scale,
        )  # fmt: skip

    @classmethod
    def classes_of(
        cls, experiment: Experiment, tokenizer: Tokenizer, start: TextProcessor | None
    ) -> tuple[list[str], list[int], tuple[float, float]]:
        """Returns the classes of the training texts, how many texts each has, and mean and deviation of numbers.

        Raises:
            InputError: for texts without labels.
        """
        data, problem = experiment.data, experiment.model.problem
        train, _ = _corpus(data, "train", tokenizer)
        if train.labels is None:
            raise InputError("the training texts have no labels", path=data.files("train")[0])
        classes, scale = sorted(train.label_names), (0.0, 1.0)
        if start is not None and not is_fresh(experiment, cls.growing[-2]):
            classes = list(dict.fromkeys((*start.classes, *classes)))
        if problem == "regression":
            values = targets_of(train, (), "regression")
            assert values is not None
            scale, classes = (float(values.mean()), float(values.std()) or 1.0), []
        counts = np.bincount(
            name_table(train.label_names, classes)[train.labels.values] + 1, minlength=len(classes) + 1
        )
        return classes, counts[1:].tolist(), scale

    def make_objective(self) -> Objective[Any]:
        """The loss of the problem."""
        return TextClassificationObjective(self.experiment.model, self.processor)

    def from_data(self, model: Any) -> Any:
        """Puts the given word vectors in, and how often each training word is read as unknown."""
        lexicon = self.parts["train"].corpus.lexicon
        configs = self.experiment.model.embeddings
        return model.replace(embeddings=model.embeddings.from_data(configs, self.processor.indexers, lexicon))

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Reads one part of the data, or other files of the same columns."""
        corpus, notes = _corpus(self.experiment.data, split, self.processor.tokenizer, files)
        rows = self.processor.rows(corpus)
        self.parts[split] = rows
        configs, indexers = getattr(self.experiment.model, "embeddings", ()), self.processor.indexers
        cut = corpus.forms.cut(self.processor.max_length)
        rows.vectors = cached(configs, indexers, cut, corpus.lexicon, notes)
        if corpus.pairs is not None:
            cut = corpus.pairs.cut(self.processor.max_length)
            rows.pair_vectors = cached(configs, indexers, cut, corpus.lexicon, notes)
        say_coverage(notes, self.processor.indexers, corpus.lexicon)
        long = int(np.count_nonzero(rows.cut))
        if long:
            notes.add(
                f"of {len(rows):,} texts are longer than train.max_length = {self.processor.max_length} tokens and are "
                f"cut there (the longest has {int(corpus.lengths.max())})",
                count=long,
            )
        self.notes[split] = notes

    def batches(self, split: str, *, training: bool) -> LengthBatches:
        """By length, with few padded lengths; for training drawn so that classes balance, if that is asked for."""
        weights = None
        if training and self.experiment.train.sampling == "balanced":
            weights = balancing_weights(self.parts[split].targets)
        return batches_by_length(self, split, training=training, weights=weights)

    @classmethod
    def expected_scores(cls, experiment: Experiment) -> tuple[str, ...]:
        """Of one class, of several labels, or of a number."""
        return _SCORES[experiment.model.problem]

    def score_names(self) -> tuple[str, ...]:
        """Of one class, of several labels, or of a number."""
        return _SCORES[self.processor.problem]

    def scorer(self, split: str) -> Scorer:
        """The scorer of the problem."""
        return self._scorer(self.parts[split], split)

    def _scorer(self, rows: TextRows, split: str) -> Scorer:
        corpus, classes = rows.corpus, self.processor.classes
        if rows.targets is None:
            raise InputError(f"{split} has no labels to score against")

        def show(row: int) -> dict[str, Any]:
            pair = corpus.pair(row)
            shown = {"kind": "text", "text": corpus.text(row), "line": int(corpus.lines[row])}
            return shown if pair is None else {**shown, "pair": pair}

        if self.processor.problem == "regression":
            return ValueScorer(rows.targets, show)
        if self.processor.problem == "multi-label":
            known = set(classes)
            return MultiLabelScorer(
                rows.targets, classes, lambda row: [name for name in corpus.names(row) if name not in known], show
            )
        return ClassScorer(rows.targets, classes, show, lambda row: corpus.names(row)[0])

    def baseline(self, split: str) -> Scores | None:
        """What the most frequent class of the training texts scores."""
        if self.processor.problem != "single-label" or not self.processor.counts:
            return None
        rows = self.parts[split]
        scorer = self._scorer(rows, split)
        commonest = int(np.argmax(self.processor.counts))
        indices = np.arange(len(rows))[None]
        scorer.update(Block(0, indices), {"class": np.full(indices.shape, commonest)})
        return Scores(scorer.compute().values)

    def examples(self, source: InputFile) -> Iterator[Labeled]:
        """The records of a table or of JSON, or one text per line, blank ones too."""
        kind = source.file_format or FILE_FORMATS.get(source.suffix)
        if kind is None or kind == "lines":
            if self.processor.paired:
                raise InputError("pairs of texts are read from a table or from JSON: --input-format csv, tsv, jsonl")
            yield from (Labeled(line, line=number) for number, line in enumerate(source.lines(), 1))
        else:
            strict = self.experiment.data.model_copy(update={"skip_bad_rows": False})  # each row has its answer
            yield from strict.read_one(source.path, Notes(), labels=False, file_format=kind)

    def labels(self) -> Sequence[str]:
        """The classes."""
        return self.processor.classes


def _corpus(
    data: LabeledText, split: str, tokenizer: Any, files: Sequence[Path] | None = None
) -> tuple[EncodedExamples, Notes]:
    def encode(examples: Iterator[Labeled], folder: Path) -> None:
        encode_labeled(examples, folder, tokenizer.tokens)

    folder, notes = cached_corpus(data, split, files, "labeled", {"tokenizer": tokenizer.saved()}, encode)
    return EncodedExamples.open(folder), notes
