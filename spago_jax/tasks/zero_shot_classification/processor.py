# SPDX-License-Identifier: BSD-2-Clause
"""The processor of zero-shot classification: one row per candidate label, a premise with a hypothesis."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from spago_jax.errors import InputError
from spago_jax.tasks.classification import Classification, ClassScore, Given
from spago_jax.tasks.pretrained.pieces import PieceProcessor, PieceRows, fields, placed, text_of
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding

TEMPLATE = "This example is {}."


@dataclasses.dataclass(frozen=True)
class Candidates:
    """A text with the labels that it may have.

    Attributes:
        text: the premise.
        labels: the candidate labels.
        template: the hypothesis, with ``{}`` for a label.
        multi_label: whether each label is true or false by itself.
        line: the line that the text comes from, where it came from a file.
    """

    text: str
    labels: tuple[str, ...]
    template: str = TEMPLATE
    multi_label: bool = False
    line: int = 0


class ZeroShotProcessor(PieceProcessor[Candidates, Classification]):
    """Texts with candidate labels to pairs of premise and hypothesis, and the pairs' logits to the labels' scores.

    Args:
        tokenizer: that of the encoder.
        max_length: the most pieces of a pair; the text is cut, never the hypothesis.
        classes: the classes of the entailment model, one of which begins with "entail".
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    example_options: ClassVar[tuple[str, ...]] = ("labels", "template", "multi_label")

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int, classes: Sequence[str]):
        super().__init__(tokenizer, max_length)
        self.classes = tuple(classes)
        self.entailment = self._class("entail")
        if self.entailment is None:
            raise InputError(
                f"none of the classes {', '.join(self.classes)} begins with 'entail': zero-shot classification needs a "
                "model of textual entailment"
            )
        self.contradiction = self._class("contradict", "not_entail", "not-entail", "non_entail", "non-entail")

    def _class(self, *beginnings: str) -> int | None:
        found = (i for i, name in enumerate(self.classes) if name.lower().startswith(beginnings))
        return next(found, None)

    def example(
        self, value: object, *, labels: Sequence[str] = (), template: str = TEMPLATE, multi_label: bool = False
    ) -> Candidates:
        """A text with its candidate labels.

        Raises:
            InputError: for a template without ``{}``, no labels, a label that is not a text or empty.
        """
        value, line = placed(value)
        if isinstance(value, Mapping):
            given = {"labels": labels, "template": template, "multi_label": multi_label}
            record = fields({**given, **value}, "text", *given)
            value, labels, template, multi_label = (record[name] for name in ("text", *given))
        if isinstance(labels, str):
            raise InputError(f"labels = {labels!r}: expected a list of labels, one text each")
        if not isinstance(value, Candidates):
            value = Candidates(text_of(value), tuple(labels), template, multi_label, line)
        if "{}" not in text_of(value.template, "a template, which is a text"):
            raise InputError(f"template = {value.template!r}: write {{}} where the label stands")
        if not value.labels:
            raise InputError("no labels to choose from: give labels=[...]")
        for label in value.labels:
            if not text_of(label, "a label, which is a text").strip():
                raise InputError("a label is empty")
        if value.multi_label or len(value.labels) == 1:
            self._contradiction()
        return value

    def _contradiction(self) -> int:
        if self.contradiction is None:
            raise InputError(
                f"of the classes {', '.join(self.classes)} none begins with 'contradict' or 'not_entail', which "
                "multi_label (and a single label) is weighed against"
            )
        return self.contradiction

    def encodings(self, examples: Sequence[Candidates]) -> list[list[Encoding]]:
        """One pair per label."""
        pairs = [
            (example.text, example.template.replace("{}", label)) for example in examples for label in example.labels
        ]
        found = iter(self.tokenizer.encode_batch(pairs, max_length=self.max_length, truncation="only_first"))
        return [[next(found) for _ in example.labels] for example in examples]

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: PieceRows,
        owned: Sequence[int],
        example: Candidates,
        *,
        top_k: int | None = None,
    ) -> Classification:
        """The labels, the best first.

        ``softmax(entailment)`` over the labels; with ``multi_label`` or one label,
        ``exp(entailment) / (exp(entailment) + exp(contradiction))`` of each.
        """
        logits = np.array([found["logits"] for found in outputs], np.float64)
        entailed = logits[:, self.entailment]
        if example.multi_label or len(example.labels) == 1:
            scores = 1 / (1 + np.exp(np.minimum(logits[:, self._contradiction()] - entailed, 700)))
        else:
            scores = np.exp(entailed - entailed.max())
            scores /= scores.sum()
        best = np.argsort(-scores, kind="stable")[:top_k]
        ranking = tuple(ClassScore(example.labels[i], float(scores[i])) for i in best)
        cut = max(rows.encodings[row].dropped for row in owned)
        return Classification(*ranking[0], ranking, Given(example.text, None, example.line, cut))

    def settings(self) -> dict[str, Any]:
        """The size of a row and the classes."""
        return {"max_length": self.max_length, "classes": list(self.classes)}
