# SPDX-License-Identifier: BSD-2-Clause
"""``task: text-classification`` with ``model: {kind: encoder}``: a transformer encoder with a classification head."""

from typing import Any, ClassVar

import numpy as np

from spago_jax.core import Array, Rng
from spago_jax.models.encoder import EncoderModel, config_from_huggingface
from spago_jax.tasks.pretrained.objective import EncoderObjective
from spago_jax.tasks.pretrained.origin import check_origin, origin_of, row_length, saved_config
from spago_jax.tasks.text_classification.encoder_config import EncoderClassifierConfig
from spago_jax.tasks.text_classification.encoder_processor import EncoderTextProcessor
from spago_jax.tasks.text_classification.objective import ClassifierLoss
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.tasks.text_classification.task import TextClassification
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Batch

PROBLEMS = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
    "regression": "regression",
}


class EncoderClassification(TextClassification):
    """One label, several labels or a number per text or pair, by an encoder that reads a pair together."""

    ModelConfig = EncoderClassifierConfig
    growing: ClassVar[tuple[str, ...]] = ("head.output.weight", "head.output.bias")
    processor_class = EncoderTextProcessor

    @classmethod
    def check(cls, experiment: Experiment) -> None:
        """Files and the model must be there."""
        experiment.data.check()
        check_origin(experiment)
        cls.check_problem(experiment)

    @classmethod
    def make_processor(cls, experiment: Experiment, *, start: TextProcessor | None = None) -> EncoderTextProcessor:
        """The tokenizer of the encoder, and the classes of the training texts."""
        origin, problem = origin_of(experiment), experiment.model.problem
        tokenizer = origin.tokenizer if not isinstance(start, EncoderTextProcessor) else start.tokenizer
        max_length = row_length(experiment, origin) if start is None else start.max_length
        classes, counts, scale = cls.classes_of(experiment, tokenizer, start)
        config = saved_config(origin.config, "sequence-classification", classes or ["LABEL_0"], PROBLEMS[problem])
        return EncoderTextProcessor(
            tokenizer, config, classes, max_length,
            problem=problem, paired=experiment.data.pair_field is not None, counts=counts, scale=scale,
        )  # fmt: skip

    def usable(self, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All but the output layer, unless it is for the same labels in the same order."""
        assert self.experiment.init is not None
        if origin_of(self.experiment).config.labels == tuple(self.processor.classes):
            return weights
        return {path: array for path, array in weights.items() if not path.startswith("head.output.")}

    def make_objective(self) -> "EncoderClassificationObjective":
        """The loss of the problem."""
        return EncoderClassificationObjective(self.experiment.model, self.processor)

    def from_data(self, model: Any) -> Any:
        """The model itself: nothing about it is known from the data."""
        return model


class EncoderClassificationObjective(ClassifierLoss, EncoderObjective):
    """The cross-entropy of one class or of several labels, or the squared error of a number."""

    head = "sequence-classification"

    def __init__(self, config: EncoderClassifierConfig, processor: EncoderTextProcessor):
        super().__init__(config, processor)
        self.encoder = config_from_huggingface(processor.config).encoder
        self.outputs = processor.units

    def plain(self, model: EncoderModel) -> EncoderModel:
        """A regression's head gives the number itself, and not its distance from the mean in deviations."""
        mean, deviation = self.scale
        output = getattr(model.head, "output", None)
        if self.config.problem != "regression" or output is None:
            return model
        scaled = output.replace(weight=output.weight * deviation, bias=output.bias * deviation + mean)
        return model.replace(head=model.head.replace(output=scaled))  # pyright: ignore[reportOptionalMemberAccess]

    def logits(self, model: EncoderModel, batch: Batch, rng: Rng | None = None) -> Array:
        """[batch, classes]."""
        return self.head_logits(model, batch, rng)
