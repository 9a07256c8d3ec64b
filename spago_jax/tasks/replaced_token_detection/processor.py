# SPDX-License-Identifier: BSD-2-Clause
"""The processor of replaced-token detection: texts to windows of pieces, logits to judged words."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.examples import Text
from spago_jax.data.processor import Answer, Findings, Paint
from spago_jax.tasks.pretrained.pieces import PieceRows, WindowProcessor, fields, placed, text_of
from spago_jax.tasks.pretrained.windows import kept_together, merged, pieces_of, whole, words_of
from spago_jax.text.tokenizers.tokenizer import Encoding


@dataclasses.dataclass(frozen=True)
class JudgedWord:
    """A word of a text.

    Attributes:
        text: ``source[start:end]``.
        start: where it begins, in code points.
        end: where it ends, exclusive.
        label: ``FAKE`` if one of its pieces is more probably replaced than not, else ``REAL``.
        score: the probability of the label, by the piece that is most probably replaced.
    """

    text: str
    start: int
    end: int
    label: str
    score: float


@dataclasses.dataclass(frozen=True)
class JudgedText(Answer, Findings[JudgedWord]):
    """A text with a judgement of each of its words, which it is a sequence of."""

    text: str
    words: tuple[JudgedWord, ...]
    line: int = 0

    @property
    def findings(self) -> tuple[JudgedWord, ...]:
        """The words."""
        return self.words

    def to_dict(self) -> dict[str, Any]:
        """Text, line and words."""
        return {"text": self.text, "line": self.line, "words": [dataclasses.asdict(word) for word in self.words]}

    def to_text(self, paint: Paint | None = None) -> str:
        """The text with its replaced words marked."""
        mark = paint or (lambda piece, label: f"[{piece}]({label})")
        out, at = [], 0
        for word in self.words:
            if word.label == "FAKE":
                out += [self.text[at : word.start], mark(word.text, word.label)]
                at = word.end
        return "".join([*out, self.text[at:], "\n"])


class DetectionProcessor(WindowProcessor[Text, JudgedText]):
    """Texts to windows, and the logits of their pieces to judged words."""

    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    def example(self, value: str | Text | Mapping[str, Any]) -> Text:
        """A text."""
        value, line = placed(value)
        if isinstance(value, Mapping):
            value = fields(value, "text")["text"]
        return Text(text_of(value), line)

    def encodings(self, examples: Sequence[Text]) -> list[list[Encoding]]:
        """The windows of each text."""
        return [self.windows(example.text) for example in examples]

    def settings(self) -> dict[str, Any]:
        """The size of a window, and how much the next one repeats."""
        return {"task": "replaced-token-detection", **super().settings()}

    def decode(
        self, outputs: Sequence[Mapping[str, np.ndarray]], rows: PieceRows, owned: Sequence[int], example: Text
    ) -> JudgedText:
        """The words of the text, each with the label of its most suspicious piece."""
        encodings = [rows.encodings[row] for row in owned]
        places = pieces_of(encodings, 0, self.stride)
        offsets, words = whole(encodings, places)
        logits = merged([found["logits"] for found in outputs], places)
        judged = []
        for first, last in words_of(kept_together(example.text, offsets, words)):
            start, end = offsets[first][0], offsets[last][1]
            logit = float(logits[first : last + 1].max())
            score = 1 / (1 + np.exp(-abs(logit)))
            label = "FAKE" if logit > 0 else "REAL"
            judged.append(JudgedWord(example.text[start:end], start, end, label, float(score)))
        return JudgedText(example.text, tuple(judged), example.line)
