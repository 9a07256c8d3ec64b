# SPDX-License-Identifier: BSD-2-Clause
"""``task: fill-mask``."""

from typing import ClassVar

from spago_jax.tasks.fill_mask.objective import MaskedWordsObjective
from spago_jax.tasks.fill_mask.predictor import FillMask, FillMaskOptions
from spago_jax.tasks.fill_mask.processor import FillMaskProcessor
from spago_jax.tasks.fill_mask.scores import MaskedScorer
from spago_jax.tasks.pretrained.masked_task import MaskedTask
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.train.schema import Experiment
from spago_jax.train.task import Score


class TrainedFillMask(MaskedTask):
    """The words that stood at the masks of plain texts: how encoders are pre-trained, or made at home in a domain."""

    name = "fill-mask"
    Options = FillMaskOptions
    scores: ClassVar[tuple[Score, ...]] = (Score("loss", "min"), Score("perplexity", "min"), Score("accuracy"))
    processor_class = FillMaskProcessor
    predictor_class = FillMask

    @classmethod
    def processor_for(cls, experiment: Experiment, tokenizer: SubwordTokenizer, max_length: int) -> FillMaskProcessor:
        """The tokenizer has to have a mask."""
        return FillMaskProcessor(tokenizer, max_length)

    def make_objective(self) -> MaskedWordsObjective:
        """The cross-entropy at the masked places."""
        return MaskedWordsObjective(self.processor)

    def scorer(self, split: str) -> MaskedScorer:
        """Loss, perplexity and accuracy at the masked places."""
        return MaskedScorer()
