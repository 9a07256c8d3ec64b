# SPDX-License-Identifier: BSD-2-Clause
"""Recipe: how one kind of model is trained. Data to batches, batch to loss, outputs to scores."""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
from pydantic import BaseModel

from spago_jax.core import Array, Module, Rng
from spago_jax.train.schema import Experiment

Batch = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A score by name, and whether more of it is better."""

    name: str
    mode: Literal["max", "min"]

    def better(self, new: float, old: float | None, min_delta: float = 0.0) -> bool:
        """Whether ``new`` beats ``old`` by at least ``min_delta``."""
        if old is None:
            return True
        return new > old + min_delta if self.mode == "max" else new < old - min_delta


@dataclasses.dataclass(frozen=True)
class Loss:
    """A batch's summed loss, the number it is divided by, and the state that the next chunk of text starts from.

    Sum and weight are kept apart so that a batch split over devices gives exactly the mean of the whole.
    """

    total: Array
    weight: Array
    carry: Any = ()


@dataclasses.dataclass(frozen=True)
class Scores:
    """What an evaluation found: numbers for the log, and tables for the report."""

    values: dict[str, float]
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


class Scorer(Protocol):
    """Gathers the outputs of evaluation steps, on the host."""

    def update(self, block: Any, outputs: Any) -> None:
        """Takes the outputs of one block of batches; leading axes [steps, batch]."""

    def compute(self) -> Scores:
        """The scores of everything seen."""
        ...


class Batches(Protocol):
    """Which examples make which batch, as a pure function of the seed and the epoch (see ``data.batching``)."""

    def epoch(self, epoch: int, /) -> list[Any]:
        """The blocks of one epoch; a block is up to ``steps_per_block`` batches of one shape."""
        ...


class Recipe(abc.ABC):
    """How one kind of model is trained and used; one instance holds the data of one experiment.

    Attributes:
        kind: the value of ``model.kind`` that asks for this recipe.
        ModelConfig: the schema of the ``model`` section.
        DataConfigs: the schema of the ``data`` section by ``data.kind``.
        metric: the dev score that picks the best checkpoint.
        higher_is_better: the other scores that may be chosen of which more is better.
        unit: what throughput counts.
    """

    kind: ClassVar[str]
    ModelConfig: ClassVar[type[BaseModel]]
    DataConfigs: ClassVar[dict[str, type[BaseModel]]]
    metric: Metric
    higher_is_better: ClassVar[frozenset[str]] = frozenset()
    unit: ClassVar[str] = "examples"

    experiment: Experiment

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Refuses settings that do not go together, before any work. Raises InputError."""

    @classmethod
    @abc.abstractmethod
    def prepare(cls, experiment: Experiment) -> Self:
        """Reads the data: makes vocabularies from the training part, encodes every part once."""

    @classmethod
    @abc.abstractmethod
    def open(cls, experiment: Experiment, assets: Path) -> Self:
        """Opens a recipe from the assets of a run folder, without its data, for prediction."""

    @abc.abstractmethod
    def save_assets(self, folder: Path) -> None:
        """Writes what prediction needs beside the weights (vocabularies, labels) into an existing folder."""

    @abc.abstractmethod
    def init_model(self, key: Array) -> Module:
        """A fresh model."""

    def pretrained(self, model: Any) -> Any:
        """The fresh model with what is known beforehand put in (word vectors); not needed to restore one."""
        return model

    @abc.abstractmethod
    def splits(self) -> list[str]:
        """The parts of the data there are: "train", and "dev" and "test" where given."""

    @abc.abstractmethod
    def load_split(self, name: str, path: str) -> None:
        """Reads another file as one more part of the data, encoded with this recipe's vocabularies."""

    @abc.abstractmethod
    def batches(self, split: str, *, training: bool) -> Batches:
        """The batches of one part of the data."""

    @abc.abstractmethod
    def collate(self, split: str, block: Any, *, training: bool) -> dict[str, np.ndarray]:
        """The arrays of one block of ``batches(split, training=training)``, leading axes [steps, batch]."""

    def units(self, split: str, block: Any) -> int:
        """How many units (tokens, characters, examples) a block holds, for the throughput."""
        return block.examples

    def initial_carry(self, batch_size: int) -> Any:
        """The state that the first chunk of text starts from; leading axis [batch]. Empty for most models."""
        return ()

    @abc.abstractmethod
    def loss(self, model: Any, batch: Batch, carry: Any, rng: Rng) -> Loss:
        """The training loss of one batch; traced."""

    @abc.abstractmethod
    def evaluate(self, model: Any, batch: Batch, carry: Any) -> tuple[Any, Any]:
        """The outputs of one batch that a scorer needs, and the next carry; traced."""

    @abc.abstractmethod
    def score_names(self) -> tuple[str, ...]:
        """The names of the scores that a scorer computes."""

    @abc.abstractmethod
    def scorer(self, split: str) -> Scorer:
        """A fresh scorer for one part of the data."""

    def baseline(self, split: str) -> Scores | None:
        """Scores of a simple method on the same data, to be printed beside the model's own, where there is one."""
        return None

    def chosen_metric(self) -> Metric:
        """The metric of ``train.metric``, or this recipe's own."""
        name = self.experiment.train.metric
        if name is None or name == self.metric.name:
            return self.metric
        return Metric(name, "max" if name in self.higher_is_better else "min")
