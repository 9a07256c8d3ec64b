# SPDX-License-Identifier: BSD-2-Clause
"""``task: text-generation``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.examples import Text
from spago_jax.data.formats.plain_text import PlainText
from spago_jax.data.formats.python_docs import PythonDocs
from spago_jax.data.formats.reader import Reader
from spago_jax.data.load import load_text
from spago_jax.data.text_chunks import TextChunks
from spago_jax.errors import InputError
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.text_generation.config import CharacterLMConfig, GenerationOptions
from spago_jax.tasks.text_generation.objective import NextCharacterObjective
from spago_jax.tasks.text_generation.processor import CharacterProcessor, CharacterRows
from spago_jax.tasks.text_generation.scores import NatsScorer
from spago_jax.train.schema import Experiment, StreamTrainConfig
from spago_jax.train.task import Score, Task


class TextGeneration(Task):
    """A language model of characters."""

    name = "text-generation"
    readers: ClassVar[tuple[type[Reader], ...]] = (PlainText, PythonDocs)
    ModelConfig = CharacterLMConfig
    TrainConfig = StreamTrainConfig
    Options = GenerationOptions
    scores: ClassVar[tuple[Score, ...]] = (
        Score("nats", "min"),
        Score("bits_per_character", "min"),
        Score("perplexity", "min"),
    )
    processor_class = CharacterProcessor

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: CharacterProcessor | None = None) -> CharacterProcessor:
        """Makes the alphabet of the training text."""
        if start is not None:
            return CharacterProcessor(start.alphabet)
        (path,) = experiment.data.files("train")
        return CharacterProcessor(load_text(path).alphabet)

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Encodes one part of the text, or another text over the same alphabet."""
        if files is None:
            self._add(split, _part(self.experiment.data, split, self.processor.alphabet))
        else:
            self._add(split, np.concatenate([load_text(p, alphabet=self.processor.alphabet).ids for p in files]))

    def make_objective(self) -> NextCharacterObjective:
        """The cross-entropy of the next characters."""
        return NextCharacterObjective(self.experiment.model, self.processor)

    def batches(self, split: str, *, training: bool) -> TextChunks:
        """Parallel streams of the text, chunk after chunk."""
        train = self.experiment.train
        return TextChunks(
            self.parts[split].ids,
            train.batch_size if training else train.eval_batch_size,
            train.chunk,
            steps_per_block=train.steps_per_call,
            seed=self.experiment.seed if training else None,
            keep_tail=not training,
        )

    def units(self, split: str, block: Any) -> int:
        """Characters of a block."""
        return block.indices.size * block.length

    def scorer(self, split: str) -> NatsScorer:
        """Nats and bits per character, perplexity."""
        return NatsScorer()

    def examples(self, source: InputFile) -> Iterator[Text]:
        """One prompt per line; a person who types nothing gets a text from the beginning."""
        if source.interactive:
            yield Text("")
            return
        for number, line in enumerate(source.lines(), 1):
            yield Text(line, number)

    def labels(self) -> Sequence[str]:
        """None: answers carry no labels."""
        return ()

    def _add(self, split: str, ids: np.ndarray) -> None:
        # Windows of an evaluation end with their stream, so that no character is read twice.
        ends = np.array([max(len(ids) - 1, 0)])
        if split != "train":
            train = self.experiment.train
            ends = TextChunks(ids, train.eval_batch_size, train.chunk, keep_tail=True).ends()
        self.parts[split] = CharacterRows(ids, ends)


def _part(data: PlainText | PythonDocs, split: str, alphabet: Sequence[str]) -> np.ndarray:
    """The ids of one part: a file of its own, or a view of the training text."""
    own = {name: data.files(name) for name in ("dev", "test")}
    if split != "train" and own[split]:
        return load_text(own[split][0], alphabet=alphabet).ids
    shares = {name: 0.0 if own[name] else getattr(data, f"{name}_fraction") for name in own}
    if sum(shares.values()) >= 1:
        raise InputError(
            f"data.dev_fraction + data.test_fraction = {sum(shares.values()):g} leaves nothing to train on"
        )
    (path,) = data.files("train")
    ids = load_text(path, alphabet=alphabet).ids
    test_from = len(ids) - int(len(ids) * shares["test"])
    # int(count * share of training) is where others cut this text, so that scores compare.
    dev_from = min(int(len(ids) * (1 - shares["dev"] - shares["test"])), test_from)
    begin, end = {"train": (0, dev_from), "dev": (dev_from, test_from), "test": (test_from, len(ids))}[split]
    return ids[begin:end]
