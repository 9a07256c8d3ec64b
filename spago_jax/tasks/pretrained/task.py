# SPDX-License-Identifier: BSD-2-Clause
"""EncoderTask: a task whose model is an encoder with a head, trained here and answered like a pre-trained one."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

from spago_jax.core import Module
from spago_jax.data.batching import LengthBatches
from spago_jax.errors import InputError
from spago_jax.tasks.pretrained.config import EncoderModelConfig
from spago_jax.tasks.pretrained.origin import check_origin, origin_of, row_length, saved_config
from spago_jax.tasks.pretrained.pieces import PieceProcessor
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor
from spago_jax.tasks.pretrained.trained import trained_encoder
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.train.schema import Experiment, TextTrainConfig
from spago_jax.train.task import Task, batches_by_length


class EncoderTask(Task, abc.ABC):
    """A task whose model is an encoder with a head of its own.

    Attributes:
        predictor_class: what answers, with a pre-trained model as well as with one that a run has trained.
    """

    ModelConfig = EncoderModelConfig
    TrainConfig = TextTrainConfig
    predictor_class: ClassVar[type[PretrainedPredictor]]

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files and the model must be there."""
        experiment.data.check()
        check_origin(experiment)
        if not experiment.data.files("train"):
            raise InputError("data.train is missing: there is nothing to train on")

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: Any = None) -> PieceProcessor:
        """The tokenizer and the config of the encoder; a run that training starts from has its own among its assets."""
        origin = origin_of(experiment)
        made = cls.processor_for(experiment, origin.tokenizer, row_length(experiment, origin))
        made.config = saved_config(origin.config, cls.predictor_class.head)
        return made

    @classmethod
    @abc.abstractmethod
    def processor_for(cls, experiment: Experiment, tokenizer: SubwordTokenizer, max_length: int) -> PieceProcessor:
        """Makes the processor of rows of at most so many pieces.

        Raises:
            InputError: for bad data.
        """

    def predictor(self, model: Module) -> PretrainedPredictor:
        """Returns what answers with a trained model: that of a pre-trained one, on the texts as the run reads them."""
        found = self.predictor_class(trained_encoder(self, model))
        found.processor = self.processor
        return found

    def batches(self, split: str, *, training: bool) -> LengthBatches:
        """By length, with few padded lengths."""
        return batches_by_length(self, split, training=training)

    def labels(self) -> Sequence[str]:
        """None: answers carry no labels."""
        return ()
