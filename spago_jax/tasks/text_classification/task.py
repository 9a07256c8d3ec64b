# SPDX-License-Identifier: BSD-2-Clause
"""``task: text-classification``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from spago_jax.data.batching import LengthBatches
from spago_jax.data.cache import cached
from spago_jax.data.encoded import EncodedExamples, encode_labeled
from spago_jax.data.examples import Labeled
from spago_jax.data.formats.labeled_text import LabeledText
from spago_jax.data.formats.reader import Reader
from spago_jax.embeddings.stacked import check_embeddings, fit
from spago_jax.errors import InputError
from spago_jax.tasks.class_scores import ClassScorer
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.text_classification.config import TextClassifierConfig
from spago_jax.tasks.text_classification.objective import TextClassificationObjective
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.text.tokenizers.tokenizer import TOKENIZERS, tokenizer_from
from spago_jax.train.schema import Experiment, TextTrainConfig
from spago_jax.train.task import Score, Task, batches_by_length


class TextClassification(Task):
    """One label per text."""

    name = "text-classification"
    readers: ClassVar[tuple[type[Reader], ...]] = (LabeledText,)
    ModelConfig = TextClassifierConfig
    TrainConfig = TextTrainConfig
    scores: ClassVar[tuple[Score, ...]] = (Score("accuracy"), Score("macro_f1"), Score("loss", "min"))
    processor_class = TextProcessor

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files must be there, and the tokenizer be known."""
        experiment.data.check()
        check_embeddings(experiment.model.embeddings)
        TOKENIZERS.find(experiment.model.tokenizer)
        if experiment.data.train is None:
            raise InputError("data.train is missing: there is nothing to train on")

    @classmethod
    def prepare(cls, experiment: Experiment, *, start: TextProcessor | None = None) -> Self:
        """Encodes the texts; vocabularies and classes are those of the training file."""
        data, config = experiment.data, experiment.model
        tokenizer = tokenizer_from({"kind": config.tokenizer, "lowercase": config.lowercase})
        max_length, ngrams = experiment.train.max_length, None
        if config.ngrams is not None:
            ngrams = {k: v for k, v in config.ngrams.model_dump().items() if k != "size"}
        if start is not None:
            tokenizer, max_length, ngrams = start.tokenizer, start.max_length, start.ngrams
        train = _corpus(data, tokenizer, data.files("train"))
        indexers = fit(config.embeddings, train.lexicon) if start is None else start.indexers
        processor = TextProcessor(tokenizer, indexers, sorted(train.label_names), max_length, ngrams)
        task = cls(experiment, processor)
        carved = data.carve(len(train), experiment.seed)
        for split in data.splits():
            if split in carved:
                task.parts[split] = processor.rows(train, carved[split])
            else:
                corpus = _corpus(data, tokenizer, data.files(split))
                task.parts[split] = processor.rows(corpus, np.arange(len(corpus)))
        return task

    def make_objective(self) -> TextClassificationObjective:
        """The cross-entropy of the labels."""
        return TextClassificationObjective(self.experiment.model, self.processor)

    def from_data(self, model: Any) -> Any:
        """Puts the given word vectors in, and how often each training word is read as unknown."""
        lexicon = self.parts["train"].corpus.lexicon
        configs = self.experiment.model.embeddings
        return model.replace(embeddings=model.embeddings.from_data(configs, self.processor.indexers, lexicon))

    def load_split(self, name: str, path: str) -> None:
        """Reads another file of the same columns."""
        corpus = _corpus(self.experiment.data, self.processor.tokenizer, [Path(path)])
        self.parts[name] = self.processor.rows(corpus, np.arange(len(corpus)))

    def batches(self, split: str, *, training: bool) -> LengthBatches:
        """By length, with few padded lengths."""
        return batches_by_length(self, split, training=training)

    def scorer(self, split: str) -> ClassScorer:
        """Accuracy and macro-F1."""
        rows = self.parts[split]
        if rows.corpus.labels is None:
            raise InputError(f"{split} has no labels to score against")
        return ClassScorer(rows.labels, self.processor.classes, lambda row: {"kind": "text", "text": rows.text(row)})

    def examples(self, source: InputFile) -> Iterator[Labeled]:
        """One text per line."""
        for number, line in enumerate(source.lines(), 1):
            if line.strip():
                yield Labeled(line, line=number)

    def labels(self) -> Sequence[str]:
        """The classes."""
        return self.processor.classes


def _corpus(data: LabeledText, tokenizer: Any, files: Sequence[Path]) -> EncodedExamples:
    settings = {**data.settings("train"), "tokenizer": tokenizer.saved()}
    settings.pop("dev_fraction", None)

    def build(folder: Path) -> None:
        encode_labeled(data.read("train", files), folder, lambda text: tokenizer.encode(text).tokens)

    return EncodedExamples.open(cached("labeled", files, settings, build))
