# SPDX-License-Identifier: BSD-2-Clause
"""``task: text-generation``."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.examples import Text
from spago_jax.data.formats.python_docs import PythonDocs
from spago_jax.data.formats.reader import Reader
from spago_jax.data.formats.tagged_text import TaggedText
from spago_jax.data.formats.text_files import TextFiles
from spago_jax.data.load import load_text
from spago_jax.data.text_chunks import TextChunks
from spago_jax.errors import InputError, InputWarning
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.text_generation.config import CharacterLMConfig, GenerationOptions
from spago_jax.tasks.text_generation.objective import NextCharacterObjective
from spago_jax.tasks.text_generation.processor import CharacterProcessor, CharacterRows
from spago_jax.tasks.text_generation.scores import NatsScorer
from spago_jax.text.alphabet import UNKNOWN, Alphabet, ByteAlphabet, counted
from spago_jax.train.schema import Experiment, StreamTrainConfig
from spago_jax.train.task import Score, Task


class TextGeneration(Task):
    """A language model of characters."""

    name = "text-generation"
    readers: ClassVar[tuple[type[Reader], ...]] = (TextFiles, PythonDocs, TaggedText)
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
    def check(cls, experiment: Experiment) -> None:
        """Files must be there, and what is said about the alphabet must go together."""
        experiment.data.check()
        config = experiment.model
        if config.characters == "bytes" and (config.min_count > 1 or config.unknown):
            key = "min_count" if config.min_count > 1 else "unknown"
            raise InputError(f"model.{key} says which characters are unknown; with model.characters: bytes none is")
        if config.characters == "bytes" and config.direction == "backward":
            raise InputError(
                "model.direction: backward needs model.characters: text; bytes in the other order are not UTF-8"
            )
        if config.min_count > 1 and config.unknown is False:
            raise InputError(
                f"model.min_count = {config.min_count} makes rarer characters <unk>, but model.unknown = false has none"
            )

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: CharacterProcessor | None = None) -> CharacterProcessor:
        """Makes the alphabet of the training text."""
        direction = experiment.model.direction
        if start is not None:
            if start.backward != (direction == "backward"):
                raise InputError(f"model.direction = {direction}, but init.from is a model of the other direction")
            return CharacterProcessor(start.alphabet, direction)
        data = experiment.data
        others = [files for split in ("dev", "test") if (files := data.files(split))]
        return CharacterProcessor(_alphabet(experiment.model, data.files("train"), others), direction)

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Encodes one part of the text, or other texts; characters outside the alphabet are ``<unk>``, or left out."""
        alphabet = self.processor.alphabet
        if files is None:
            self._add(split, *_part(self.experiment.data, split, alphabet))
            return
        self._add(split, *_known(files, alphabet))

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
        return NatsScorer(self.parts[split].strange)

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

    def _add(self, split: str, ids: np.ndarray, strange: Mapping[str, int]) -> None:
        if self.processor.backward:
            ids = ids[::-1]  # a view: nothing is read before its turn
        # Windows of an evaluation end with their stream, so that no character is read twice.
        ends = np.array([max(len(ids) - 1, 0)])
        if split != "train":
            train = self.experiment.train
            ends = TextChunks(ids, train.eval_batch_size, train.chunk, keep_tail=True).ends()
        self.parts[split] = CharacterRows(ids, ends, strange)


_Part = tuple[np.ndarray, Mapping[str, int]]


def _part(data: TextFiles | PythonDocs, split: str, alphabet: Alphabet) -> _Part:
    """The ids of one part: a file of its own, or a view of the training text."""
    own = {name: data.files(name) for name in ("dev", "test")}
    if split != "train" and own[split]:
        return _known(own[split], alphabet)
    shares = {name: 0.0 if own[name] else getattr(data, f"{name}_fraction") for name in own}
    if sum(shares.values()) >= 1:
        raise InputError(
            f"data.dev_fraction + data.test_fraction = {sum(shares.values()):g} leaves nothing to train on"
        )
    ids = load_text(data.files("train"), alphabet=alphabet).ids
    test_from = len(ids) - int(len(ids) * shares["test"])
    # int(count * share of training) is where others cut this text, so that scores compare.
    dev_from = min(int(len(ids) * (1 - shares["dev"] - shares["test"])), test_from)
    begin, end = {"train": (0, dev_from), "dev": (dev_from, test_from), "test": (test_from, len(ids))}[split]
    return ids[begin:end], {}


def _alphabet(config: CharacterLMConfig, paths: Sequence[Path], others: Sequence[Sequence[Path]]) -> Alphabet:
    """The alphabet of a training text, with ``<unk>`` as its last entry where one is asked for, or needed by others."""
    if config.characters == "bytes":
        return ByteAlphabet()
    whole = load_text(paths)
    frequent = [char for char, count in zip(whole.alphabet, whole.counts, strict=True) if count >= config.min_count]
    if not frequent:
        raise InputError(f"no character occurs as often as model.min_count = {config.min_count}", path=paths[0])
    closed, open_ = Alphabet(frequent), Alphabet([*frequent, UNKNOWN])
    if config.unknown is not None:
        return open_ if config.unknown else closed
    needed = config.min_count > 1 or any(load_text(other, alphabet=open_).strange for other in others)
    return open_ if needed else closed


def _known(paths: Sequence[Path], alphabet: Alphabet) -> _Part:
    """The ids of texts as one, and the characters outside the alphabet, which are said: ``<unk>``, or left out."""
    closed = alphabet.unknown is None and not isinstance(alphabet, ByteAlphabet)
    found = load_text(paths, alphabet=Alphabet([*alphabet, UNKNOWN]) if closed else alphabet)
    path = paths[0]
    if not found.strange:
        return found.ids, {}
    said = counted(found.strange, len(found))
    if not closed:
        warnings.warn(f"{path}: {said}: read as {UNKNOWN}", InputWarning, stacklevel=2)
        return found.ids, found.strange
    ids = found.ids[found.ids != len(alphabet)]
    if not len(ids):
        raise InputError(f"none of its characters is in the alphabet of {len(alphabet)}", path=path)
    warnings.warn(f"{path}: {said}: left out, since it has no {UNKNOWN}", InputWarning, stacklevel=2)
    return ids, found.strange
