# SPDX-License-Identifier: BSD-2-Clause
"""ZeroShotClassification: the predictor of ``zero-shot-classification``."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from spago_jax.core import Array
from spago_jax.core.section import PositiveInt, Section, Texts
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.pretrained.engine import HeadModel
from spago_jax.tasks.pretrained.predictor import PretrainedPredictor, RowSettings, inputs, longest
from spago_jax.tasks.zero_shot_classification.processor import TEMPLATE, ZeroShotProcessor


class ZeroShotOptions(Section):
    """The labels to choose from."""

    labels: Texts = Field(default=(), description="the candidate labels")
    template: str = Field(default=TEMPLATE, description="the hypothesis, with {} for a label")
    multi_label: bool = Field(default=False, description="judge each label by itself")
    top_k: PositiveInt | None = Field(default=None, description="how many labels are listed (default: all)")


class ZeroShotClassification(PretrainedPredictor[RowSettings]):
    """Classifies texts into classes named when asking, with any classifier of textual entailment.

    Source: Yin et al. (2019), "Benchmarking Zero-shot Text Classification".
    """

    name: ClassVar[str] = "zero-shot-classification"
    head: ClassVar[str] = "sequence-classification"
    Options = ZeroShotOptions

    @classmethod
    def make_processor(cls, pretrained: Pretrained, settings: RowSettings) -> ZeroShotProcessor:
        """The classes are those of the config."""
        return ZeroShotProcessor(pretrained.tokenizer, longest(pretrained, settings.max_length), pretrained.labels)

    def outputs(self, model: HeadModel, batch: Mapping[str, Array]) -> dict[str, Array]:
        """The ``logits`` [batch, classes]."""
        return {"logits": model.logits(**inputs(model, batch))}

    def __call__(
        self,
        text: str | list[str],
        labels: Sequence[str] = (),
        template: str = TEMPLATE,
        multi_label: bool = False,
        **options: Any,
    ) -> Any:
        """The candidate labels of a text, or of each text of a list, the best first.

        Args:
            text: one text, or a list of them.
            labels: the candidate labels, in any language.
            template: the hypothesis, with ``{}`` for a label.
            multi_label: judge each label by itself, so that several or none may hold.
            options: ``top_k``, how many labels are given.

        Raises:
            InputError: for a template without ``{}``, or labels that are not a list of texts.
        """
        return super().__call__(text, labels=labels, template=template, multi_label=multi_label, **options)
