# SPDX-License-Identifier: BSD-2-Clause
"""The processor of pre-trained text classifiers: texts or pairs to pieces, logits to classes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from spago_jax.data.examples import Labeled
from spago_jax.errors import InputError, did_you_mean
from spago_jax.tasks.classification import Classification, ClassScore, Given
from spago_jax.tasks.pretrained.pieces import PieceProcessor, PieceRows, fields, placed, text_of
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding

Activation = Literal["softmax", "sigmoid", "none"]
ACTIVATIONS: Mapping[str, Activation] = {
    "regression": "none",
    "multi_label_classification": "sigmoid",
    "single_label_classification": "softmax",
}


class SequenceProcessor(PieceProcessor[Labeled, Classification]):
    """Texts or pairs of texts to rows, and logits to scores of classes.

    Args:
        tokenizer: that of the encoder.
        max_length: longer texts are cut, which the answer says.
        classes: the labels, by id.
        problem: the ``problem_type`` of the config; without one, one class means a number, several one of them.
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    example_options: ClassVar[tuple[str, ...]] = ("pair",)

    def __init__(
        self, tokenizer: SubwordTokenizer, max_length: int, classes: Sequence[str], problem: str | None = None
    ):
        super().__init__(tokenizer, max_length)
        self.classes, self.problem = tuple(classes), problem
        if problem is None:
            problem = "regression" if len(self.classes) == 1 else "single_label_classification"
        if problem not in ACTIVATIONS:
            raise InputError(f"problem_type = {problem!r}: {did_you_mean(problem, ACTIVATIONS)}")
        self.activation: Activation = ACTIVATIONS[problem]

    def example(self, value: object, *, pair: str | None = None) -> Labeled:
        """A text, or a pair of texts: a tuple, a dict with ``text`` and ``pair``, or both arguments.

        Raises:
            InputError: for anything else.
        """
        value, line = placed(value)
        if isinstance(value, Mapping):
            record = fields(value, "text", optional=["pair"])
            value, pair = record["text"], record.get("pair", pair)
        if isinstance(value, str) and pair is not None:
            value = (value, pair)
        if isinstance(value, tuple) and len(value) == 2:
            return Labeled(text_of(value[0]), line=line, pair=text_of(value[1]))
        if isinstance(value, Labeled):
            return value
        return Labeled(text_of(value, "a text, or a pair of texts (a tuple)"), line=line)

    def encodings(self, examples: Sequence[Labeled]) -> list[list[Encoding]]:
        """One row per text or pair."""
        inputs = [example.text if example.pair is None else (example.text, example.pair) for example in examples]
        found = self.tokenizer.encode_batch(inputs, max_length=self.max_length, truncation="longest_first")
        return [[encoding] for encoding in found]

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: PieceRows,
        owned: Sequence[int],
        example: Labeled,
        *,
        top_k: int | None = None,
        activation: Activation | None = None,
    ) -> Classification:
        """The classes by their score, the best first.

        Args:
            outputs: the ``logits`` of its row.
            rows: all rows.
            owned: the number of its row.
            example: the text.
            top_k: how many classes, None for all.
            activation: ``softmax``, ``sigmoid`` or ``none``, instead of what suits the problem.
        """
        logits = np.asarray(outputs[0]["logits"], np.float64)
        scores = activated(logits, self.activation if activation is None else activation)
        best = np.argsort(-scores, kind="stable")[:top_k]
        ranking = tuple(ClassScore(self.classes[i], float(scores[i])) for i in best)
        given = Given(example.text, example.pair, example.line, rows.encodings[owned[0]].dropped)
        return Classification(*ranking[0], ranking, given)

    def settings(self) -> dict[str, Any]:
        """The size of a row, the classes and the problem."""
        return {"max_length": self.max_length, "classes": list(self.classes), "problem": self.problem}


def activated(logits: np.ndarray, activation: Activation) -> np.ndarray:
    """Returns the scores of logits.

    >>> activated(np.array([0.0, np.log(3)]), "softmax").round(2).tolist()
    [0.25, 0.75]
    """
    if activation == "sigmoid":
        return 1 / (1 + np.exp(np.clip(-logits, -700, 700)))
    if activation == "softmax":
        found = np.exp(logits - logits.max())
        return found / found.sum()
    return logits
