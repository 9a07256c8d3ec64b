# SPDX-License-Identifier: BSD-2-Clause
"""MaskedTask: a task that learns from plain texts by masking some of their pieces."""

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from spago_jax.data.batching import Block
from spago_jax.data.examples import Text
from spago_jax.data.formats.plain_text import PlainText
from spago_jax.data.formats.reader import Reader
from spago_jax.data.masking import WordMasking
from spago_jax.errors import InputError
from spago_jax.tasks.input_file import InputFile
from spago_jax.tasks.pretrained.masked_texts import MaskedTrainConfig, masked_arrays, read_part
from spago_jax.tasks.pretrained.task import EncoderTask


class MaskedTask(EncoderTask, abc.ABC):
    """Plain texts with masked pieces: other ones in every epoch, the same ones in every evaluation.

    Attributes:
        fates: the shares of the chosen pieces that become the mask, and any piece; the others stay as they are.
    """

    readers: ClassVar[tuple[type[Reader], ...]] = (PlainText,)
    TrainConfig = MaskedTrainConfig
    fates: ClassVar[tuple[float, float]] = (0.8, 0.1)

    def read(self, split: str, files: Sequence[Path] | None = None) -> None:
        """Encodes one part of the texts, or another file."""
        train, processor = self.experiment.train, self.processor
        rows = read_part(self.experiment.data, split, processor.tokenizer, processor.max_length, train.text, files)
        self.parts[split] = rows.packed(processor.max_length) if train.packed else rows

    def masking(self) -> WordMasking:
        """Returns what chooses the pieces.

        Raises:
            InputError: for a tokenizer without a mask.
        """
        tokenizer = self.processor.tokenizer
        if "mask" not in tokenizer.special_ids:
            raise InputError("the tokenizer has no mask token: pieces cannot be masked")
        masked, random = self.fates
        return WordMasking(
            tokenizer.special_ids["mask"], tokenizer.size,
            rate=self.experiment.train.mask_rate, masked=masked, random=random, seed=self.experiment.seed,
        )  # fmt: skip

    def arrays(self, split: str, block: Block) -> dict[str, np.ndarray]:
        """The masked rows of a block; in training they depend on seed, epoch and row alone, and not on the batch."""
        train = self.experiment.train
        return masked_arrays(
            self.parts[split], block, self.masking(),
            pad=self.processor.tokenizer.special_ids.get("pad", 0), epoch=block.epoch + 1 if split == "train" else 0,
            whole_words=train.whole_words, packed=train.packed,
        )  # fmt: skip

    def units(self, split: str, block: Block) -> int:
        """Pieces of a block."""
        return int(self.parts[split].lengths[block.indices[block.indices >= 0]].sum())

    def examples(self, source: InputFile) -> Iterator[Any]:
        """One text per line."""
        yield from (Text(line, number) for number, line in enumerate(source.lines(), 1))
