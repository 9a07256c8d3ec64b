# SPDX-License-Identifier: BSD-2-Clause
"""The processor of fill-mask: one row per mask, and per number of pieces that a target has."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from spago_jax.errors import InputError
from spago_jax.tasks.fill_mask.answer import FilledText, Filling
from spago_jax.tasks.pretrained.pieces import PieceProcessor, PieceRows, fields, placed, text_of
from spago_jax.text.tokenizers.subword import SubwordTokenizer
from spago_jax.text.tokenizers.tokenizer import Encoding


@dataclasses.dataclass(frozen=True)
class MaskedText:
    """A text with masks, and the words to choose from at each of them (None: the whole vocabulary)."""

    text: str
    targets: tuple[str, ...] | None = None
    line: int = 0


@dataclasses.dataclass(frozen=True)
class _Row:
    """What a row of an example is for: a mask, how many pieces are put there, and which of them is asked for."""

    mask: int
    pieces: int
    place: int


class FillMaskProcessor(PieceProcessor[MaskedText, FilledText]):
    """Texts with masks to rows, each of which asks for the piece at one place.

    A text with two masks has two rows, which differ in the place asked for alone. A target of n pieces is scored over n
    masks in the place of one: n rows.
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    example_options: ClassVar[tuple[str, ...]] = ("targets",)

    def __init__(self, tokenizer: SubwordTokenizer, max_length: int):
        super().__init__(tokenizer, max_length)
        if "mask" not in tokenizer.special_ids:
            raise InputError("the tokenizer has no mask token: the model was not trained to fill masks")
        self.mask = tokenizer.token(tokenizer.special_ids["mask"])

    def example(
        self, value: str | MaskedText | Mapping[str, Any], *, targets: Sequence[str] | None = None
    ) -> MaskedText:
        """A text with at least one mask, and the words to choose from.

        Raises:
            InputError: for a text without a mask, or targets that are not words.
        """
        if isinstance(targets, str):
            raise InputError(f"targets = {targets!r}: expected a list of words")
        value, line = placed(value)
        if isinstance(value, Mapping):
            record = fields(value, "text", optional=["targets"])
            value, targets = record["text"], record.get("targets", targets)
        chosen = None if targets is None else tuple(targets)
        found = value if isinstance(value, MaskedText) else MaskedText(text_of(value), chosen, line)
        if self.mask not in found.text:
            raise InputError(f"{found.text!r:.80} has no mask: write {self.mask} where a word is asked for")
        if found.targets is not None:
            if not found.targets:
                raise InputError("targets is empty: name words to choose from, or leave it out")
            for word in found.targets:
                if not text_of(word, "a word").strip() or self.mask in word:
                    raise InputError(f"targets: {word!r} is not a word")
        return found

    def _pieces(self, word: str, before: str) -> list[int]:
        """The ids of a word in a text, after what stands before it: byte-level pieces hold the blank between."""
        blank = " " if before[-1:].isspace() else ""
        return list(self.tokenizer.encode(blank + word, special_tokens=False).ids)

    def _targets(self, example: MaskedText) -> list[dict[str, list[int]]]:
        """The pieces of each target, for each mask."""
        parts, words = example.text.split(self.mask), dict.fromkeys(example.targets or ())
        before = (self.mask.join(parts[: mask + 1]) for mask in range(len(parts) - 1))
        return [{word: self._pieces(word, text) for word in words} for text in before]

    def rows_of(self, example: MaskedText) -> list[_Row]:
        """What each row of an example asks for."""
        found = []
        for mask, targets in enumerate(self._targets(example)):
            counts = sorted({len(pieces) for pieces in targets.values()}) or [1]
            found += [_Row(mask, count, place) for count in counts for place in range(count)]
        return found

    def _encoding(self, example: MaskedText, row: _Row) -> tuple[Encoding, int]:
        """The text with as many masks as the row wants, and the place of the piece that is asked for."""
        text = example.text
        if row.pieces > 1:
            parts = text.split(self.mask)
            before = self.mask.join(parts[: row.mask + 1])
            text = before + " ".join([self.mask] * row.pieces) + self.mask.join(parts[row.mask + 1 :])
        encoding = self.tokenizer.encode(text)
        if len(encoding.ids) > self.max_length:
            marks = self.tokenizer.special_count()
            raise InputError(
                f"{example.text!r:.60} has {len(encoding.ids) - marks} pieces, and the model reads "
                f"{self.max_length - marks} beside the marks at its ends: shorten it"
            )
        places = [place for place, id in enumerate(encoding.ids) if id == self.tokenizer.special_ids["mask"]]
        return encoding, places[row.mask + row.place]

    def encodings(self, examples: Sequence[MaskedText]) -> list[list[Encoding]]:
        """The rows of each text."""
        return [[self._encoding(example, row)[0] for row in self.rows_of(example)] for example in examples]

    def encode(self, examples: Iterable[MaskedText]) -> PieceRows:
        """The rows of some texts, with the place that each asks for."""
        owners, found = [], []
        for number, example in enumerate(examples):
            for row in self.rows_of(example):
                owners.append(number)
                found.append(self._encoding(example, row))
        return PieceRows([encoding for encoding, _ in found], owners, [place for _, place in found])

    def batch(
        self, rows: PieceRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """Ids, types, lengths, and the places ``at`` [batch, 1] that are asked for."""
        found = super().batch(rows, indices, length, targets=targets)
        return found | {"at": np.where(indices < 0, 0, rows.places[indices])[..., None].astype(np.int32)}

    def specs(self) -> dict[str, str]:
        """Ids, types, lengths and places."""
        return super().specs() | {"at": "i32[batch, asked]"}

    def settings(self) -> dict[str, Any]:
        """The size of a row."""
        return {"task": "fill-mask", **super().settings()}

    def sizes(self) -> dict[str, int]:
        """One place per row."""
        return {"time": 32, "asked": 1}

    def decode(
        self,
        outputs: Sequence[Mapping[str, np.ndarray]],
        rows: PieceRows,
        owned: Sequence[int],
        example: MaskedText,
        *,
        top_k: int = 5,
    ) -> FilledText:
        """The best ``top_k`` words for each mask, all targets where there are some."""
        asked = self.rows_of(example)
        logs = {row: _log_softmax(found["logits"][0]) for row, found in zip(asked, outputs, strict=True)}
        masks = []
        for mask, targets in enumerate(self._targets(example)):
            found = list(targets.items())
            if example.targets is None:
                ids = np.argsort(-logs[_Row(mask, 1, 0)], kind="stable")[:top_k].tolist()
                found = [(self.tokenizer.decode([id]).strip(), [id]) for id in ids]
            fillings = [self._filling(example, mask, word, pieces, logs) for word, pieces in found]
            masks.append(tuple(sorted(fillings, key=lambda filling: -filling.score)))
        return FilledText(example.text, tuple(masks), example.line)

    def _filling(
        self, example: MaskedText, mask: int, word: str, pieces: Sequence[int], logs: Mapping[_Row, np.ndarray]
    ) -> Filling:
        log = sum(float(logs[_Row(mask, len(pieces), place)][piece]) for place, piece in enumerate(pieces))
        parts = example.text.split(self.mask)
        before, after = self.mask.join(parts[: mask + 1]), self.mask.join(parts[mask + 1 :])
        continues = word.startswith("##") and len(word) > 2  # a piece that goes on with the word before
        filled = before.rstrip() + word[2:] + after if continues else before + word + after
        return Filling(word, float(np.exp(log)), filled, pieces[0] if len(pieces) == 1 else None)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.asarray(logits, np.float64) - np.max(logits)
    return shifted - np.log(np.exp(shifted).sum())
