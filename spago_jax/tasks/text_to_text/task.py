# SPDX-License-Identifier: BSD-2-Clause
"""``task: text2text-generation``, and the base of tasks that write a text for a text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spago_jax.core import Module
from spago_jax.data.batching import Block, LengthBatches
from spago_jax.data.examples import Parallel
from spago_jax.data.formats.parallel import ParallelText
from spago_jax.data.formats.reader import Reader
from spago_jax.data.formats.strings import Strings
from spago_jax.data.notes import Notes
from spago_jax.data.pair_buckets import PairBuckets
from spago_jax.errors import InputError
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.text_to_text.config import (
    TextToTextModelConfig,
    TextToTextTrainConfig,
    WrittenScoresConfig,
)
from spago_jax.tasks.text_to_text.objective import TextToTextObjective
from spago_jax.tasks.text_to_text.origin import check_origin, origin_of
from spago_jax.tasks.text_to_text.predictor import TextToText, WritingOptions
from spago_jax.tasks.text_to_text.processor import Marks, TextToTextProcessor
from spago_jax.tasks.text_to_text.scores import TokenScorer
from spago_jax.tasks.text_to_text.trained import checked_config, network_config, trained_model
from spago_jax.train.details import SAMPLES
from spago_jax.train.metrics.text_scores import OVERLAPS, TextScores, check_overlaps
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Score, Scores, Task


class TextToTextTask(Task):
    """Texts that are written for texts.

    Attributes:
        predictor_class: what answers, with a pre-trained model as well as with one that a run has trained.
    """

    name = "text2text-generation"
    readers: ClassVar[tuple[type[Reader], ...]] = (ParallelText, Strings)
    ModelConfig = TextToTextModelConfig
    TrainConfig = TextToTextTrainConfig
    Options = WritingOptions
    scores: ClassVar[tuple[Score, ...]] = (
        Score("chrf"),
        Score("bleu"),
        Score("exact_match"),
        Score("loss", "min"),
        Score("perplexity", "min"),
        Score("token_accuracy"),
    )
    input_formats = ("lines", "jsonl")
    processor_class: ClassVar[type[TextToTextProcessor]] = TextToTextProcessor  # type: ignore
    predictor_class: ClassVar[type[TextToText]] = TextToText
    _buckets: PairBuckets | None = None
    _writer: TextToText | None = None

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files, the model and the package of the scores must be there."""
        experiment.data.check()
        check_origin(experiment)
        if "train" not in experiment.data.splits():
            raise InputError("data.train is missing: there is nothing to train on")
        write = experiment.train.write
        if write is not None and set(write.scores) & set(OVERLAPS):
            check_overlaps(write.tokenize)

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: Any = None) -> TextToTextProcessor:
        """The tokenizers and the config of the model; a run that training starts from has its own among its assets."""
        origin = origin_of(experiment)
        model, train = experiment.model, experiment.train
        config = checked_config(experiment, origin)
        made = cls.processor_class(
            origin.tokenizer,
            Marks.of(config, origin.path),
            train.max_length,
            train.max_target_length,
            target_tokenizer=origin.target_tokenizer,
            prefix=model.prefix,
            source_language=model.source_language,
            target_language=model.target_language,
        )
        made.config = config
        made.generation = {**origin.generation, **_writing(train, made.max_target_length, config), **_ids(config)}
        return made

    def make_objective(self) -> TextToTextObjective:
        """The cross-entropy of the targets."""
        model = self.experiment.model
        return TextToTextObjective(
            network_config(self.processor.config or {}),
            label_smoothing=model.label_smoothing,
            chunk=model.vocabulary_chunk,
        )

    def usable(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A file without a bias of the vocabulary has zeros there."""
        network = network_config(self.processor.config or {})
        if network.words_bias and "head.bias" not in weights:
            weights = {**weights, "head.bias": np.zeros((1, network.target_words), np.float32)}
        return weights

    # -- data ------------------------------------------------------------------------------------------------------

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Reads one part of the pairs, or other files of the same columns."""
        notes = Notes()
        pairs = self.experiment.data.read(split, files, notes=notes)
        self.parts[split] = self.processor.parallel(pairs, longer=self.experiment.train.long_pairs, notes=notes)
        self.notes[split], self._buckets = notes, None

    def buckets(self) -> PairBuckets:
        """Returns the padded lengths that all parts share."""
        if self._buckets is None:
            lengths = [(rows.lengths, rows.target_lengths) for rows in self.parts.values()]
            self._buckets = PairBuckets.choose(lengths, self.experiment.train.buckets)
        return self._buckets

    def batches(self, split: str, *, training: bool) -> LengthBatches:
        """By the length of the longer side, so many pairs each or so many tokens."""
        train, rows, buckets = self.experiment.train, self.parts[split], self.buckets()
        size: int | tuple[int, ...] = train.batch_size if training else train.eval_batch_size
        if training and train.batch_tokens is not None:
            try:
                size = buckets.rows(train.batch_tokens, self.data_parts or train.make_devices().data)
            except InputError as error:
                raise InputError(f"train.batch_tokens: {error}") from None
        return LengthBatches(
            np.maximum(rows.lengths, rows.target_lengths),
            size,
            bucket_lengths=buckets.lengths,
            steps_per_block=train.steps_per_call,
            seed=self.experiment.seed,
            order="shuffled" if training else "sequential",
            window=train.shuffle_window if training else None,
        )

    def arrays(self, split: str, block: Block) -> dict[str, np.ndarray]:
        """The sources and the targets of a block, each padded to its own length."""
        source, target = self.buckets().padded(block.length)
        return self.processor.batch(self.parts[split], block.indices, source, targets=True, target_length=target)

    def units(self, split: str, block: Block) -> int:
        """Pieces of the targets of a block."""
        return int(self.parts[split].target_lengths[block.indices[block.indices >= 0]].sum())

    # -- scores ----------------------------------------------------------------------------------------------------

    @classmethod
    def expected_scores(cls, experiment: Experiment) -> tuple[str, ...]:
        """Those of written texts, if any are asked for, and those of tokens."""
        write = experiment.train.write
        return (*(write.scores if write is not None else ()), "loss", "perplexity", "token_accuracy")

    def score_names(self) -> tuple[str, ...]:
        """Those of written texts, if any are asked for, and those of tokens."""
        return self.expected_scores(self.experiment)

    def scorer(self, split: str) -> TokenScorer:
        """Of tokens."""
        return TokenScorer()

    @property
    def writes(self) -> bool:
        """Whether texts are asked for."""
        return self.experiment.train.write is not None

    def written(self, model: Module, split: str, *, quick: bool = False, keep: int | None = None) -> Scores | None:
        """Writes texts for the sources of a part, as users get them, and scores them; None where none are asked for."""
        write = self.experiment.train.write
        if write is None:
            return None
        pairs: Sequence[Parallel] = self.parts[split].pairs
        if quick and write.examples is not None:
            pairs = _spread(pairs, write.examples)
        keep = SAMPLES if keep is None else keep
        texts = [answer.text for answer in self._answering(model).stream(pairs)]
        metric = TextScores(write.scores, tokenize=write.tokenize)
        wanted = [pair.target or "" for pair in pairs]
        values = metric.compute(metric.update(metric.init(), texts, wanted))
        samples = [
            {"kind": "text", "text": pair.source, "line": pair.line, "gold": pair.target, "predicted": text}
            for pair, text in zip(pairs, texts, strict=True)
            if text.strip() != (pair.target or "").strip()
        ]
        return Scores({name: values[name] for name in write.scores}, {"samples": samples[:keep]})

    # -- prediction ------------------------------------------------------------------------------------------------

    def predictor(self, model: Module) -> TextToText:
        """Returns what answers with a trained model, as a pre-trained one does."""
        found = self.predictor_class(trained_model(self, model))
        found.processor = self.processor
        return found

    def _answering(self, model: Module) -> TextToText:
        """The predictor of a model; its programs are kept from one evaluation to the next."""
        if self._writer is None:
            self._writer = self.predictor(model)
        else:
            self._writer.renew(trained_model(self, model))
        return self._writer

    def examples(self, source: InputFile) -> Iterator[Any]:
        """One text per line, or records with ``text``."""
        jsonl = (source.file_format or source.suffix.removeprefix(".")) in ("jsonl", "ndjson")

        def make(line: str, number: int) -> Any:
            return self.processor.example({**(json.loads(line) if jsonl else {"text": line}), "line": number})

        yield from source.made_of_lines(make, "a text")

    def labels(self) -> Sequence[str]:
        """None: answers carry no labels."""
        return ()


def _spread(pairs: Sequence[Parallel], count: int) -> list[Parallel]:
    """Returns so many pairs at even distances: files are often sorted by length."""
    return [pairs[place] for place in np.unique(np.linspace(0, len(pairs) - 1, min(count, len(pairs))).astype(int))]


def _writing(train: TextToTextTrainConfig, longest: int, config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how a run writes texts where a user does not say, by transformers' names."""
    write = train.write or WrittenScoresConfig()
    most = network_config(config).longest
    length = min(longest + 1, most or longest + 1) if write.max_length is None else write.max_length
    return {"max_length": length, "num_beams": write.num_beams, "length_penalty": write.length_penalty}


def _ids(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the special tokens of a ``config.json`` that writing needs."""
    names = ("decoder_start_token_id", "bos_token_id", "eos_token_id", "pad_token_id")
    return {name: config[name] for name in names if config.get(name) is not None}
