# SPDX-License-Identifier: BSD-2-Clause
"""Task, Objective, Score: the interface between the training loop and a model with its data."""

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

import numpy as np

from spago_jax.core import Array, Module, Rng
from spago_jax.core.section import Section
from spago_jax.core.tree import PyTree
from spago_jax.data.batching import Batches, Block, LengthBatches, shared_buckets
from spago_jax.data.formats.reader import Reader
from spago_jax.data.notes import Notes
from spago_jax.data.processor import Answer, Processor, Rows
from spago_jax.errors import InputError, did_you_mean
from spago_jax.train.schema import Experiment, TextTrainConfig, TrainConfig

Batch = Mapping[str, Any]
ModelType = TypeVar("ModelType", bound=Module)


@dataclasses.dataclass(frozen=True)
class Score:
    """The name of a score, and whether more of it is better."""

    name: str
    better: Literal["max", "min"] = "max"

    def improves(self, new: float, old: float | None, min_delta: float = 0.0) -> bool:
        """Whether ``new`` beats ``old`` by more than ``min_delta``.

        >>> Score("f1").improves(0.5, 0.4), Score("loss", "min").improves(0.5, 0.4)
        (True, False)
        """
        if old is None:
            return True
        return new > old + min_delta if self.better == "max" else new < old - min_delta


@dataclasses.dataclass(frozen=True)
class Loss:
    """The summed loss of a batch, its divisor, and the state that the next chunk of text starts from.

    Sum and weight are kept apart so that a batch split over devices gives exactly the mean of the whole.
    """

    total: Array
    weight: Array
    carry: PyTree = ()


@dataclasses.dataclass(frozen=True)
class Scores:
    """The result of an evaluation: numbers for the log, and tables for the report."""

    values: dict[str, float]
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


class Scorer(Protocol):
    """Collects the outputs of evaluation steps, on the host."""

    def update(self, block: Block, outputs: Mapping[str, Any]) -> None:
        """Adds the outputs of one block of batches; leading axes [steps, batch]."""

    def compute(self) -> Scores:
        """Returns the scores of all blocks so far."""
        ...


class Objective(abc.ABC, Generic[ModelType]):
    """The traced half of a task: pure functions of a model and a batch, without files."""

    @abc.abstractmethod
    def init(self, key: Array) -> ModelType:
        """Returns a fresh model."""

    def initial_carry(self, batch_size: int) -> PyTree:
        """Returns the state that the first chunk of a text starts from; leading axis [batch]. Empty for most models."""
        return ()

    @abc.abstractmethod
    def loss(self, model: ModelType, batch: Batch, carry: PyTree, rng: Rng) -> Loss:
        """Returns the training loss of one batch, without the auxiliary losses that layers add."""

    @abc.abstractmethod
    def predict(self, model: ModelType, batch: Batch, carry: PyTree = ()) -> tuple[dict[str, Array], Any]:
        """Returns a batch's outputs by name, and the next carry: the one forward pass of scores, users and exports."""

    @abc.abstractmethod
    def measure(self, model: ModelType, batch: Batch, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Returns what a scorer needs of the outputs for a batch with targets, such as the loss of each row."""


class Task(abc.ABC):
    """Ties readers, processor, objective and scores together; ``task:`` in a config names it.

    An instance belongs to one experiment, and holds its data if it was made by ``prepare``.

    Attributes:
        name: the value of ``task``.
        readers: the formats that the `data` section may have.
        ModelConfig: the schema of the `model` section.
        TrainConfig: the schema of the `train` section.
        Options: what a user may set when predicting.
        scores: all scores that it may compute, with their directions.
        input_formats: how a user's input may be written, where the name of its file does not say it.
        data_parts: how many parts each batch is split into; None: as the `train` section says.
        growing: patterns of the arrays that get more rows when a trained model learns new words and labels.
    """

    name: ClassVar[str]
    readers: ClassVar[tuple[type[Reader], ...]]
    ModelConfig: ClassVar[type[Section]]
    TrainConfig: ClassVar[type[TrainConfig]]
    Options: ClassVar[type[Section]] = Section
    scores: ClassVar[tuple[Score, ...]]
    growing: ClassVar[tuple[str, ...]] = ()
    data_parts: int | None = None
    input_formats: ClassVar[tuple[str, ...]] = ("lines",)
    processor_class: ClassVar[type[Processor]]

    def __init__(self, experiment: Experiment, processor: Any):
        self.experiment = experiment
        self.processor = processor
        self.parts: dict[str, Any] = {}
        self.notes: dict[str, Notes] = {}
        self.objective = self.make_objective()

    @classmethod
    def variant(cls, model: Mapping[str, Any]) -> "type[Task]":
        """Returns the class that a `model` section asks for: itself, unless the section has kinds."""
        return cls

    # -- making one ------------------------------------------------------------------------------------------------

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Refuses settings that do not go together and files that are not there, before any work.

        Raises:
            InputError: for the first mistake found.
        """
        experiment.data.check()

    @classmethod
    @abc.abstractmethod
    def make_processor(cls, experiment: Experiment, *, start: Any = None) -> Any:
        """Makes the processor from the training part of the data.

        Args:
            experiment: the experiment, with this task's sections.
            start: a processor whose vocabularies are kept (that of the run whose weights training starts from); only
                the labels come from the new data.

        Raises:
            InputError: for bad data.
        """

    @classmethod
    def prepare(cls, experiment: Experiment, *, start: Any = None, processor: Any = None) -> Self:
        """Reads the data: makes the processor from the training part, and encodes every part once.

        Args:
            experiment: the experiment, with this task's sections.
            start: as for ``make_processor``.
            processor: a finished processor, that of a run that goes on; nothing is then made from the data.

        Raises:
            InputError: for bad data.
        """
        task = cls(experiment, processor or cls.make_processor(experiment, start=start))
        for split in experiment.data.splits():
            task.read(split)
        return task

    @classmethod
    def open(cls, experiment: Experiment, assets: Path) -> Self:
        """Opens a task without data, from the assets of a run, for prediction.

        Raises:
            InputError: for missing or damaged assets.
        """
        return cls(experiment, cls.processor_class.load(assets))

    @abc.abstractmethod
    def make_objective(self) -> Objective:
        """Makes the traced half, for this experiment and processor."""

    def from_data(self, model: Module) -> Module:
        """Returns a fresh model with values from the data filled in (word vectors, the mean of the pixels)."""
        return model

    def usable(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns what of a pre-trained model's arrays means the same here: a classifier's output may not."""
        return weights

    @abc.abstractmethod
    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Reads one part of the data, with the processor as it is.

        Args:
            split: the name of the part.
            files: other files in the format of the data, read whole, instead of the part's own.

        Raises:
            InputError: for a missing or bad file.
        """

    def remarks(self) -> list[str]:
        """Returns what is worth knowing about the data that were read, for the log, one sentence per line."""
        return [f"{split}: {line}" for split, notes in self.notes.items() for line in notes.lines()]

    # -- batches ---------------------------------------------------------------------------------------------------

    def splits(self) -> list[str]:
        """Returns the parts of the data that were read."""
        return list(self.parts)

    @abc.abstractmethod
    def batches(self, split: str, *, training: bool) -> Batches:
        """Returns the batches of one part of the data."""

    def arrays(self, split: str, block: Block) -> dict[str, np.ndarray]:
        """Returns the arrays of a block of batches with their targets; leading axes [steps, batch]."""
        return self.processor.batch(self.parts[split], block.indices, block.length, targets=True)

    def units(self, split: str, block: Block) -> int:
        """Counts the units (``processor.unit``: tokens, characters, examples) in a block, for the throughput."""
        return block.examples

    # -- scores ----------------------------------------------------------------------------------------------------

    @classmethod
    def expected_scores(cls, experiment: Experiment) -> tuple[str, ...]:
        """Returns the scores that an experiment will compute, the default one first, without reading its data."""
        return tuple(score.name for score in cls.scores)

    def score_names(self) -> tuple[str, ...]:
        """Returns the scores that are computed on this data, the default one first."""
        return tuple(score.name for score in self.scores)

    @abc.abstractmethod
    def scorer(self, split: str) -> Scorer:
        """Returns a fresh scorer for one part of the data."""

    @property
    def writes(self) -> bool:
        """Whether answers are also scored that a model writes, by ``written``."""
        return False

    def written(self, model: Module, split: str, *, quick: bool = False, keep: int | None = None) -> Scores | None:
        """Returns the scores of answers that a model writes by a loop of its own, beside those of ``scorer``.

        Args:
            model: the model, on the devices.
            split: the part of the data.
            quick: whether training goes on afterwards, so that a share of the part may do.
            keep: how many mistakes are kept; None: as many as usual.
        """
        return None

    def baseline(self, split: str) -> Scores | None:
        """Returns the scores of a simple method, if any, on the same data, to print beside the model's own."""
        return None

    @classmethod
    def score(cls, name: str) -> Score:
        """Returns a score with its direction.

        Raises:
            InputError: for a score that the task does not have.
        """
        found = {score.name: score for score in cls.scores}
        if name not in found:
            raise InputError(f"train.metric = {name!r}: {did_you_mean(name, found)}")
        return found[name]

    def metric(self) -> Score:
        """Returns the dev score that picks the best checkpoint: ``train.metric``, or the first of ``score_names``.

        Raises:
            InputError: for a score that is not computed on this data.
        """
        name = self.experiment.train.metric or self.score_names()[0]
        if name not in self.score_names():
            raise InputError(f"train.metric = {name!r}: {did_you_mean(name, self.score_names())}")
        return self.score(name)

    # -- prediction ------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def examples(self, source: Any) -> Iterator[Any]:
        """Yields the examples of a user's file or of standard input (an ``InputFile``) as they arrive.

        Raises:
            InputError: for input that cannot be read.
        """

    @abc.abstractmethod
    def labels(self) -> Sequence[str]:
        """Returns the labels that answers may carry, for colours and for the metadata of an export."""


def batches_by_length(task: Task, split: str, *, training: bool, weights: np.ndarray | None = None) -> LengthBatches:
    """Returns batches of rows of similar length, for tasks whose `train` section is a ``TextTrainConfig``.

    In training, rows are drawn in proportion to ``weights``, if there are any.
    """
    train = task.experiment.train
    assert isinstance(train, TextTrainConfig)
    lengths = {name: rows.lengths for name, rows in task.parts.items()}
    return LengthBatches(
        lengths[split],
        train.batch_size if training else train.eval_batch_size,
        bucket_lengths=shared_buckets(list(lengths.values()), train.buckets, longest=task.processor.longest),
        steps_per_block=train.steps_per_call,
        seed=task.experiment.seed,
        order="shuffled" if training else "sequential",
        weights=weights if training else None,
        window=train.shuffle_window if training else None,
    )


def balancing_weights(labels: np.ndarray) -> np.ndarray:
    """Returns weights under which every class is drawn as often: one over the number of examples of its class.

    >>> balancing_weights(np.array([0, 0, 0, 1])).round(2).tolist()
    [0.33, 0.33, 0.33, 1.0]
    """
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return 1.0 / counts[inverse]


__all__ = [
    "Answer",
    "Batch",
    "Loss",
    "Objective",
    "Rows",
    "Score",
    "Scorer",
    "Scores",
    "Task",
    "balancing_weights",
    "batches_by_length",
]
