# SPDX-License-Identifier: BSD-2-Clause
"""The processor of pre-trained taggers: texts or tokens to windows of pieces, logits to labeled spans."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from spago_jax.data.examples import Tokens
from spago_jax.errors import InputError, did_you_mean
from spago_jax.tasks.pretrained.classifier import activated
from spago_jax.tasks.pretrained.pieces import PieceRows, WindowProcessor, fields, placed
from spago_jax.tasks.pretrained.windows import kept_together, merged, pieces_of, whole, words_of
from spago_jax.tasks.token_classification.answer import LabeledSpan, TaggedText
from spago_jax.text.tags import OUTSIDE, Scheme, Span, detect_scheme, spans
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding

Aggregation = Literal["none", "simple", "first", "max", "average"]
AGGREGATIONS = ("none", "simple", "first", "max", "average")


class PieceTagProcessor(WindowProcessor[Tokens, TaggedText]):
    """Texts or tokens to windows, and the logits of their pieces to tags and labeled spans.

    Args:
        tokenizer: that of the encoder.
        max_length: the most pieces of a window.
        classes: the tags, by id.
        stride: how many pieces the next window repeats.
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int, classes: Sequence[str], stride: int | None = None):
        super().__init__(tokenizer, max_length, stride)
        self.classes = tuple(classes)
        self.scheme = scheme_of(self.classes)

    def example(self, value: str | Sequence[str] | Tokens | Mapping[str, Any]) -> Tokens:
        """A text, or its tokens.

        Raises:
            InputError: for anything else.
        """
        value, line = placed(value)
        if isinstance(value, Mapping):
            value = fields(value, "tokens")["tokens"] if "tokens" in value else fields(value, "text")["text"]
        if isinstance(value, Tokens):
            return value
        if isinstance(value, str):
            return Tokens([], text=value, line=line)
        if isinstance(value, Sequence) and all(isinstance(token, str) for token in value):
            return Tokens(list(value), line=line)
        raise InputError(f"a {type(value).__name__}, expected a text or a list of tokens")

    def encodings(self, examples: Sequence[Tokens]) -> list[list[Encoding]]:
        """The windows of each text."""
        return [
            self.windows(example.tokens if example.text is None or example.tokens else example.text)
            for example in examples
        ]

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: PieceRows,
        owned: Sequence[int],
        example: Tokens,
        *,
        aggregation: Aggregation = "first",
        threshold: float = 0.0,
    ) -> TaggedText:
        """The tags of the words (of the pieces for ``none`` and ``simple``), and the spans that they mark.

        Args:
            outputs: the ``logits`` of each window.
            rows: the windows.
            owned: the numbers of the example's windows.
            example: the text.
            aggregation: how a word gets its tag from its pieces: that of the ``first``, of the surest one (``max``), or
                the best of their mean (``average``); ``simple`` tags pieces, and ``none`` leaves each a span.
            threshold: spans with a lower score are left out.
        """
        if aggregation not in AGGREGATIONS:
            raise InputError(f"aggregation = {aggregation!r}: {did_you_mean(aggregation, AGGREGATIONS)}")
        encodings = [rows.encodings[row] for row in owned]
        places = pieces_of(encodings, 0, self.stride)
        offsets, words = whole(encodings, places)
        logits = merged([found["logits"] for found in outputs], places).astype(np.float64)
        probabilities = np.array([activated(row, "softmax") for row in logits]).reshape(len(offsets), len(self.classes))
        text = example.text
        if example.tokens:
            text, offsets = _in_text(example, words, offsets)
        else:
            assert text is not None
            words = kept_together(text, offsets, words)
        assert text is not None
        units = [(i, i) for i in range(len(offsets))]
        if aggregation not in ("none", "simple"):
            units = words_of(words)
            if not example.tokens:  # byte-level pieces of blanks alone are not words
                units = [(a, b) for a, b in units if text[offsets[a][0] : offsets[b][1]].strip()]
        scores = np.array([aggregated(probabilities[a : b + 1], aggregation) for a, b in units])
        scores = scores.reshape(len(units), len(self.classes))
        best = scores.argmax(-1)
        tags = [self.classes[i] for i in best.tolist()]
        sure = scores.max(-1, initial=0.0)
        places_ = [(offsets[first][0], offsets[last][1]) for first, last in units]
        found = []
        for span in self._spans(tags, aggregation):
            score = float(sure[span.start : span.end].mean())
            if score >= threshold:
                start, end = places_[span.start][0], places_[span.end - 1][1]
                found.append(LabeledSpan(span.label, start, end, text[start:end], (span.start, span.end), score))
        tokens = tuple(text[start:end] for start, end in places_)
        plain = self.scheme == "plain"
        return TaggedText(
            text, tokens, tuple(places_), tuple(tags), tuple(found), plain, example.line, tuple(sure.tolist()),
            example.frame,
        )  # fmt: skip

    def _spans(self, tags: Sequence[str], aggregation: Aggregation) -> list[Span]:
        if aggregation == "none" or self.scheme == "plain":
            return [Span(i, i + 1, tag) for i, tag in enumerate(tags) if tag != OUTSIDE]
        return spans(tags, self.scheme)

    def settings(self) -> dict[str, Any]:
        """The size of a window, how much the next one repeats, and the tags."""
        return super().settings() | {"classes": list(self.classes)}


def scheme_of(classes: Sequence[str]) -> Scheme:
    """Returns how a model's tags mark spans: IOB2, BIOES, BILOU, or IO where no tag has a prefix but one is ``O``.

    >>> scheme_of(["O", "B-PER", "I-PER"]), scheme_of(["O", "PER"]), scheme_of(["NOUN", "VERB"])
    ('IOB2', 'IO', 'plain')
    """
    scheme = detect_scheme([[name] for name in classes]).scheme
    if scheme == "plain" and OUTSIDE in classes:
        return "IO"
    return "IOB2" if scheme == "IOB1" else scheme


def aggregated(probabilities: np.ndarray, aggregation: Aggregation) -> np.ndarray:
    """Returns the distribution over tags of a word [tags], from those of its pieces [pieces, tags]."""
    if aggregation == "max":
        return probabilities[probabilities.max(-1).argmax()]
    return probabilities.mean(0) if aggregation == "average" else probabilities[0]


def _in_text(
    example: Tokens, words: Sequence[int | None], offsets: Sequence[tuple[int, int]]
) -> tuple[str, list[tuple[int, int]]]:
    """The text of some tokens, and the offsets in it of pieces whose offsets are those within their token."""
    starts, text = [], example.text
    if text is not None and example.offsets is not None:
        starts = [start for start, _ in example.offsets]
    else:
        at = 0
        for token in example.tokens:
            starts.append(at)
            at += len(token) + 1
        text = " ".join(example.tokens)
    shifted = [
        (starts[word or 0] + start, starts[word or 0] + end) for word, (start, end) in zip(words, offsets, strict=True)
    ]
    return text, shifted


__all__ = ["AGGREGATIONS", "Aggregation", "PieceTagProcessor", "aggregated", "scheme_of"]
