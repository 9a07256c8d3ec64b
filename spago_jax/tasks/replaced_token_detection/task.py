# SPDX-License-Identifier: BSD-2-Clause
"""``task: replaced-token-detection``."""

from typing import ClassVar

from spago_jax.tasks.pretrained.masked_task import MaskedTask
from spago_jax.tasks.replaced_token_detection.config import DetectionModelConfig
from spago_jax.tasks.replaced_token_detection.objective import DetectionObjective
from spago_jax.tasks.replaced_token_detection.predictor import ReplacedTokenDetection
from spago_jax.tasks.replaced_token_detection.processor import DetectionProcessor
from spago_jax.tasks.replaced_token_detection.scores import DetectionScorer
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Score


class TrainedReplacedTokenDetection(MaskedTask):
    """The pieces of a text that a generator put there: how ELECTRA is pre-trained."""

    name = "replaced-token-detection"
    ModelConfig = DetectionModelConfig
    scores: ClassVar[tuple[Score, ...]] = (
        Score("loss", "min"),
        Score("generator_loss", "min"),
        Score("discriminator_loss", "min"),
        Score("accuracy"),
        Score("recall"),
    )
    fates: ClassVar[tuple[float, float]] = (0.85, 0.0)
    growing: ClassVar[tuple[str, ...]] = ()
    processor_class = DetectionProcessor
    predictor_class = ReplacedTokenDetection

    @classmethod
    def processor_for(cls, experiment: Experiment, tokenizer: SubwordTokenizer, max_length: int) -> DetectionProcessor:
        """Long texts are read in windows when they are judged."""
        return DetectionProcessor(tokenizer, max_length)

    def make_objective(self) -> DetectionObjective:
        """Generator and discriminator together."""
        return DetectionObjective(self.experiment.model, self.processor, self.experiment.seed)

    def scorer(self, split: str) -> DetectionScorer:
        """Both losses, accuracy and recall."""
        return DetectionScorer(self.experiment.model.discriminator_weight)
