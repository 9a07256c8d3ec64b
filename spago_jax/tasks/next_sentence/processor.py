# SPDX-License-Identifier: BSD-2-Clause
"""The processor of next-sentence prediction: pairs of texts to a probability."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.examples import Labeled
from spago_jax.data.processor import Answer, Paint
from spago_jax.errors import InputError
from spago_jax.tasks.pretrained.pieces import PieceProcessor, PieceRows, fields, placed, text_of
from spago_jax.text.tokenizers.tokenizer import Encoding


@dataclasses.dataclass(frozen=True)
class NextSentence(Answer):
    """How probably one text follows another.

    Attributes:
        first: the first text.
        second: the second text.
        score: the probability that the second follows the first.
        dropped: how many pieces of the two the encoder did not read.
        line: the line that they come from, where they came from a file.
    """

    first: str
    second: str
    score: float
    dropped: int = 0
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain JSON."""
        return dataclasses.asdict(self)

    def to_text(self, paint: Paint | None = None) -> str:
        """Probability and both texts, apart by tabs."""
        return f"{self.score:.4f}\t{self.first}\t{self.second}\n"


class PairProcessor(PieceProcessor[Labeled, NextSentence]):
    """Pairs of texts to rows, and two logits to a probability."""

    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    example_options: ClassVar[tuple[str, ...]] = ("second",)

    def example(self, value: object, *, second: str | None = None) -> Labeled:
        """A pair of texts: ``(first, second)``, a dict with these keys, or both arguments.

        Raises:
            InputError: for anything else.
        """
        value, line = placed(value)
        if isinstance(value, Mapping):
            record = fields({"second": second, **value} if second is not None else value, "first", "second")
            value = (record["first"], record["second"])
        elif isinstance(value, str) and second is not None:
            value = (value, second)
        if isinstance(value, tuple | list) and len(value) == 2:
            value = Labeled(text_of(value[0]), line=line, pair=text_of(value[1]))
        if not isinstance(value, Labeled) or value.pair is None:
            raise InputError(f"a {type(value).__name__}, expected two texts, (first, second)")
        return value

    def encodings(self, examples: Sequence[Labeled]) -> list[list[Encoding]]:
        """One row per pair."""
        pairs = [(example.text, example.pair or "") for example in examples]
        found = self.tokenizer.encode_batch(pairs, max_length=self.max_length, truncation="longest_first")
        return [[encoding] for encoding in found]

    def decode(
        self, outputs: Sequence[Mapping[str, np.ndarray]], rows: PieceRows, owned: Sequence[int], example: Labeled
    ) -> NextSentence:
        """``softmax(logits)[0]``: the first logit says that the second text follows the first."""
        logits = np.asarray(outputs[0]["logits"], np.float64)
        score = float(1 / (1 + np.exp(np.clip(logits[1] - logits[0], -700, 700))))
        return NextSentence(example.text, example.pair or "", score, rows.encodings[owned[0]].dropped, example.line)
