# SPDX-License-Identifier: BSD-2-Clause
"""The processor of text encoding: texts to pieces, pooled states to vectors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.examples import Text
from spago_jax.data.processor import Answer, Paint
from spago_jax.tasks.pretrained.pieces import PieceProcessor, PieceRows, fields, placed, text_of
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding


@dataclasses.dataclass(frozen=True, eq=False)
class TextVector(Answer):
    """The vector of a text.

    Attributes:
        text: as it was given.
        vector: float [features].
        dropped: how many pieces at its end the encoder did not read.
        line: the line that the text comes from, where it came from a file.
    """

    text: str
    vector: np.ndarray
    dropped: int = 0
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Text, line, vector, and the number of pieces that were dropped, if any."""
        found = {"text": self.text, "line": self.line, "vector": self.vector.astype(float).tolist()}
        return found | ({"dropped": self.dropped} if self.dropped else {})

    def to_text(self, paint: Paint | None = None) -> str:
        """The numbers, apart by blanks."""
        return " ".join(f"{value:.6g}" for value in self.vector.tolist()) + "\n"


class EncodingProcessor(PieceProcessor[Text, TextVector]):
    """Texts to pieces, and pooled states to vectors.

    Args:
        tokenizer: that of the encoder.
        max_length: texts are cut at so many pieces.
        lowercase: lower-case the texts first, as some folders of sentence encoders want.
        prompt: stands before every text.
        pipeline: how a run makes vectors of states (``modes``, ``normalize``, ...); a folder says it in its own files.
    """

    outputs: ClassVar[tuple[str, ...]] = ("vector",)

    def __init__(
        self,
        tokenizer: SubwordTokenizer,
        max_length: int,
        lowercase: bool = False,
        prompt: str = "",
        pipeline: Mapping[str, Any] | None = None,
    ):
        super().__init__(tokenizer, max_length)
        self.lowercase, self.prompt, self.pipeline = lowercase, prompt, dict(pipeline or {})
        # The mark at the end belongs to the text.
        self.prompt_pieces = len(tokenizer.encode(prompt).ids) - 1 if prompt else 0

    def example(self, value: str | Text | Mapping[str, Any]) -> Text:
        """A text; in a record, ``text`` or ``question``."""
        value, line = placed(value)
        if isinstance(value, Mapping):
            (value, *_) = fields(value, "question" if "question" in value else "text").values()
        return Text(text_of(value), line)

    def encodings(self, examples: Sequence[Text]) -> list[list[Encoding]]:
        """One row per text."""
        texts = [self.prompt + (example.text.lower() if self.lowercase else example.text) for example in examples]
        found = self.tokenizer.encode_batch(texts, max_length=self.max_length, truncation="longest_first")
        return [[encoding] for encoding in found]

    def batch(self, rows: Any, indices: np.ndarray, length: int, *, targets: bool = False) -> dict[str, np.ndarray]:
        """The ``ids``, ``types`` and ``lengths``; as targets those of the pairs, their ``weight`` and ``scores``."""
        if not targets:
            return super().batch(rows, indices, length)
        pad = self.tokenizer.special_ids.get("pad", 0)
        found: dict[str, np.ndarray] = {"weight": (indices >= 0).astype(np.float32)}
        for prefix, side in (("", rows.ids), ("pair_", rows.pair_ids)):
            ids, lengths = side.gather(indices, length, pad=pad)
            found |= {f"{prefix}ids": ids, f"{prefix}types": np.zeros_like(ids), f"{prefix}lengths": lengths}
        if rows.scores is not None:
            found["scores"] = np.where(indices < 0, 0, rows.scores[indices]).astype(np.float32)
        return found

    def decode(
        self, outputs: Sequence[Mapping[str, np.ndarray]], rows: PieceRows, owned: Sequence[int], example: Text
    ) -> TextVector:
        """The vector of the text."""
        return TextVector(example.text, outputs[0]["vector"], rows.encodings[owned[0]].dropped, example.line)

    def settings(self) -> dict[str, Any]:
        """The size of a row, what is done to a text first, and how its vector is made."""
        kept = ("max_length", "lowercase", "prompt", "pipeline")
        return {"task": "text-encoding"} | {name: getattr(self, name) for name in kept}
