# SPDX-License-Identifier: BSD-2-Clause
"""Rows of pieces with special tokens around them, from texts whose pieces were counted once."""

from collections.abc import Sequence

import numpy as np

from spago_jax.data.ragged import RaggedArray
from spago_jax.text.tokenizers.pieces import Slot, kept_lengths
from spago_jax.text.tokenizers.subword import SubwordTokenizer


class Layout:
    """The special tokens around one text or two.

    Args:
        tokenizer: that of the encoder.
        paired: whether a row has two texts.
        max_length: the most pieces of a row, special ones among them; longer texts are cut, the longer of two first.
    """

    def __init__(self, tokenizer: SubwordTokenizer, paired: bool, max_length: int):
        self.slots: Sequence[Slot] = tokenizer.layout(paired)
        self.marks = sum(slot.sequence is None for slot in self.slots)
        self.pad = tokenizer.special_ids.get("pad", 0)
        self.max_length = max_length

    def lengths(self, *counts: np.ndarray) -> np.ndarray:
        """Returns how many positions rows take whose texts have so many pieces, int64 [n]."""
        return np.minimum(np.sum(counts, axis=0, dtype=np.int64) + self.marks, self.max_length)

    def dropped(self, *counts: np.ndarray) -> np.ndarray:
        """Returns how many pieces of each row are cut, int64 [n]."""
        return np.maximum(np.sum(counts, axis=0, dtype=np.int64) + self.marks - self.max_length, 0)

    def arrays(self, texts: Sequence[RaggedArray], indices: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """Returns ``ids`` and ``types`` [..., length], and ``lengths`` [...], of some rows.

        Args:
            texts: the ids of the pieces of the first texts, and of the second ones if there are two.
            indices: the rows, -1 for an empty one.
            length: the length to pad to.
        """
        flat = indices.reshape(-1)
        ids = np.full((len(flat), length), self.pad, np.int32)
        types = np.zeros((len(flat), length), np.int32)
        lengths = np.zeros(len(flat), np.int32)
        for place, row in enumerate(flat.tolist()):
            if row < 0:
                continue
            parts = [np.asarray(text[row]) for text in texts]
            kept = kept_lengths([len(part) for part in parts], self.max_length - self.marks, "longest_first")
            at = 0
            for slot in self.slots:
                part = [slot.id] if slot.sequence is None else parts[slot.sequence][: kept[slot.sequence]]
                ids[place, at : at + len(part)] = part
                types[place, at : at + len(part)] = slot.type_id
                at += len(part)
            lengths[place] = at
        shape = (*indices.shape, length)
        return {"ids": ids.reshape(shape), "types": types.reshape(shape), "lengths": lengths.reshape(indices.shape)}
