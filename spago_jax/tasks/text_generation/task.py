# SPDX-License-Identifier: BSD-2-Clause
"""``task: text-generation``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

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
    def prepare(cls, experiment: Experiment, *, start: CharacterProcessor | None = None) -> Self:
        """Encodes the text; the alphabet is that of the training file."""
        alphabet, parts = _parts(experiment.data, None if start is None else start.alphabet)
        task = cls(experiment, CharacterProcessor(alphabet))
        for split, ids in parts.items():
            task._add(split, ids)
        return task

    def make_objective(self) -> NextCharacterObjective:
        """The cross-entropy of the next characters."""
        return NextCharacterObjective(self.experiment.model, self.processor)

    def load_split(self, name: str, path: str) -> None:
        """Reads another text over the same alphabet."""
        self._add(name, load_text(path, alphabet=self.processor.alphabet).ids)

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


def _parts(data: PlainText | PythonDocs, alphabet: list[str] | None) -> tuple[list[str], dict[str, np.ndarray]]:
    """The alphabet, and the ids of each part (views of the training text, or files of their own)."""
    (path,) = data.files("train")
    whole = load_text(path, alphabet=alphabet)
    files: dict[str, Path | None] = {split: next(iter(data.files(split)), None) for split in ("dev", "test")}
    shares = {split: 0.0 if files[split] else getattr(data, f"{split}_fraction") for split in files}
    if sum(shares.values()) >= 1:
        raise InputError(
            f"data.dev_fraction + data.test_fraction = {sum(shares.values()):g} leaves nothing to train on"
        )
    count = len(whole)
    test_from = count - int(count * shares["test"])
    # int(count * share of training) is where others cut this text, so that scores compare.
    dev_from = min(int(count * (1 - shares["dev"] - shares["test"])), test_from)
    parts = {"train": whole.ids[:dev_from]}
    if dev_from < test_from:
        parts["dev"] = whole.ids[dev_from:test_from]
    if test_from < count:
        parts["test"] = whole.ids[test_from:]
    for split, file in files.items():
        if file is not None:
            parts[split] = load_text(file, alphabet=whole.alphabet).ids
    return list(whole.alphabet), parts
