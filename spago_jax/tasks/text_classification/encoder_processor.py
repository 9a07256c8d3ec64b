# SPDX-License-Identifier: BSD-2-Clause
"""The processor of classifiers that are an encoder with a head: texts or pairs of texts to one row of pieces each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from spago_jax.data.encoded_examples import EncodedExamples
from spago_jax.data.processor import load_settings, restoring
from spago_jax.data.ragged import RaggedArray
from spago_jax.tasks.pretrained.assemble import Layout
from spago_jax.tasks.pretrained.pieces import load_config, save_config
from spago_jax.tasks.text_classification.processor import TextProcessor
from spago_jax.tasks.text_classification.rows import TextRows, targets_of
from spago_jax.text.tokenizers.load import load_tokenizer
from spago_jax.text.tokenizers.subword import SubwordTokenizer


class EncoderTextRows(TextRows):
    """Texts as the ids of their pieces.

    Attributes:
        texts: those of the first texts, and of the second ones of pairs.
    """

    texts: tuple[RaggedArray, ...]


class EncoderTextProcessor(TextProcessor):
    """Texts, or pairs of texts, to ids of pieces with special tokens, and logits to labels.

    Args:
        tokenizer: that of the encoder.
        config: the ``config.json`` of the encoder.
        classes: the labels, by id; none for a regression.
        max_length: the most pieces of a row, special ones among them; longer texts are cut there.
        problem: as for ``TextProcessor``.
        paired: as for ``TextProcessor``.
        counts: as for ``TextProcessor``.
        scale: as for ``TextProcessor``.
    """

    tokenizer: SubwordTokenizer

    def __init__(
        self,
        tokenizer: SubwordTokenizer,
        config: Mapping[str, Any],
        classes: Sequence[str],
        max_length: int,
        *,
        problem: str = "single-label",
        paired: bool = False,
        counts: Sequence[int] = (),
        scale: tuple[float, float] = (0.0, 1.0),
    ):
        super().__init__(tokenizer, (), classes, max_length, problem=problem, paired=paired, counts=counts, scale=scale)
        self.config = dict(config)
        self.layout = Layout(tokenizer, paired, max_length)

    def rows(self, corpus: EncodedExamples) -> EncoderTextRows:
        """Encoded texts as ids."""
        ids = np.array([self._id(form) for form in corpus.lexicon], np.int32)
        texts = [corpus.forms] if corpus.pairs is None else [corpus.forms, corpus.pairs]
        targets = targets_of(corpus, self.classes, self.problem)
        rows = EncoderTextRows(corpus, {}, targets, None, None, self.max_length)
        rows.texts = tuple(RaggedArray(ids[np.asarray(text.values)], text.offsets) for text in texts)
        counts = [text.lengths for text in texts]
        rows.lengths, rows.cut = self.layout.lengths(*counts), self.layout.dropped(*counts)
        return rows

    def _id(self, form: str) -> int:
        found = self.tokenizer.id(form)
        return self.tokenizer.special_ids.get("unknown", 0) if found is None else found

    def batch(
        self, rows: TextRows, indices: np.ndarray, length: int, *, targets: bool = False
    ) -> dict[str, np.ndarray]:
        """The ``ids``, ``types`` and ``lengths``; as targets ``labels``, and ``weight`` 0 for an empty row."""
        assert isinstance(rows, EncoderTextRows)
        texts = rows.texts if len(rows.texts) == 1 + self.paired else rows.texts * 2  # no rows at all
        arrays = self.layout.arrays(texts, indices, length)
        return arrays | self.target_arrays(rows, indices) if targets else arrays

    def specs(self) -> dict[str, str]:
        """Ids, types and lengths."""
        return {"ids": "i32[batch, time]", "types": "i32[batch, time]", "lengths": "i32[batch]"}

    @property
    def longest(self) -> int:
        """The most pieces of a row."""
        return self.max_length

    def sizes(self) -> dict[str, int]:
        """A text of 32 pieces."""
        return {"time": 32}

    def settings(self) -> dict[str, Any]:
        """The classes, the size of a row and the problem."""
        kept = ("task", "classes", "max_length", "problem", "paired", "counts", "scale")
        return {name: value for name, value in super().settings().items() if name in kept} | {"kind": "encoder"}

    def save(self, folder: Path) -> None:
        """Writes ``processor.json``, the encoder's ``config.json`` and the tokenizer's files."""
        super().save(folder)
        self.tokenizer.save(folder / "tokenizer")
        save_config(self.config, folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what ``save`` wrote."""
        settings = load_settings(folder)
        tokenizer, config = load_tokenizer(folder / "tokenizer"), load_config(folder)
        with restoring(folder, "a classifier"):
            return cls(
                tokenizer, config, settings["classes"], int(settings["max_length"]), problem=settings["problem"],
                paired=settings["paired"], counts=settings["counts"],
                scale=(float(settings["scale"][0]), float(settings["scale"][1])),
            )  # fmt: skip

    def components(self) -> list[Any]:
        """The processor and its tokenizer."""
        return [self, self.tokenizer]
