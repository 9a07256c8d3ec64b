# SPDX-License-Identifier: BSD-2-Clause
"""Masks words of texts, for models that learn to restore them; another choice in every epoch, the same at every run."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from spago_jax.errors import InputError

__all__ = ["MaskedRows", "WordMasking"]

_ROOM = 4 / 3  # places for masked tokens, over those that are expected: .2 of a row's tokens at a rate of .15


class MaskedRows(NamedTuple):
    """Rows with masked tokens, and what is to be restored.

    Attributes:
        ids: the tokens with some of them replaced, [rows, time].
        positions: the places of the chosen tokens, ascending, [rows, places]; unused places are 0.
        labels: the tokens that stood there, [rows, places]; 0 in unused places.
        weights: 1 for each chosen token, 0 for unused places, float32 [rows, places].
    """

    ids: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


class WordMasking:
    """Chooses tokens of each row and replaces most of them.

    Of the tokens of a row that are not special, ``rate`` are chosen in expectation, by whole words in random order; the
    word that would go beyond is chosen with the probability that keeps the expectation. Of the chosen tokens ``masked``
    become the mask, ``random`` any token of the vocabulary, and the others stay. What is chosen depends on the seed,
    the epoch and the number of the row alone: not on the batch, its padding, or the order of the rows.

    Source: Devlin et al. 2019; whole words: Cui et al. 2021; anew in every epoch: Liu et al. 2019.

    Args:
        mask_id: the id of the mask.
        size: the number of ids.
        rate: the share of tokens that are chosen.
        masked: the share of chosen tokens that become the mask.
        random: the share of chosen tokens that become any token.
        seed: the seed.

    Raises:
        InputError: shares that are not between 0 and 1, or a mask that is not in the vocabulary.

    >>> masking = WordMasking(mask_id=4, size=20, rate=0.5, masked=1.0, random=0.0, seed=1)
    >>> special = np.array([[True, False, False, False, False, True]])
    >>> found = masking([[2, 10, 11, 12, 13, 3]], special, rows=[0], epoch=0)
    >>> found.ids.tolist(), found.positions.tolist(), found.labels.tolist()
    ([[2, 10, 4, 4, 13, 3]], [[2, 3, 0, 0]], [[11, 12, 0, 0]])
    """

    def __init__(
        self,
        mask_id: int,
        size: int,
        *,
        rate: float = 0.15,
        masked: float = 0.8,
        random: float = 0.1,
        seed: int = 0,
    ):
        for name, share in (
            ("rate", rate),
            ("masked", masked),
            ("random", random),
            ("masked + random", masked + random),
        ):
            if not 0 <= share <= 1 + 1e-9:
                raise InputError(f"{name} = {share:g}: expected a share, 0 to 1")
        if not 0 <= mask_id < size:
            raise InputError(f"mask_id {mask_id}: expected an id of the vocabulary, 0 to {size - 1}")
        if seed < 0:
            raise InputError(f"seed {seed}: expected 0 or more")
        self.mask_id, self.size, self.rate = mask_id, size, rate
        self.masked, self.random, self.seed = masked, random, seed

    def places(self, length: int) -> int:
        """Returns the places for chosen tokens of rows of a length: a third more than are expected.

        >>> WordMasking(4, 20).places(128)
        26
        """
        return min(length, math.ceil(length * self.rate * _ROOM))

    def __call__(
        self,
        ids: ArrayLike,
        special: ArrayLike,
        word_ids: ArrayLike | None = None,
        *,
        rows: ArrayLike,
        epoch: int,
        places: int | None = None,
    ) -> MaskedRows:
        """Masks a batch of rows.

        Args:
            ids: the tokens, integers [rows, time].
            special: whether each is special or padding, and is never chosen, bool [rows, time].
            word_ids: the number of the word that each is a piece of, [rows, time]; neighbors of one number are chosen
                together. None: each token by itself.
            rows: the number of each row in the whole data, [rows].
            epoch: the epoch.
            places: how many tokens may be chosen per row; None: ``places(time)``.

        Raises:
            InputError: the shapes do not fit each other.
        """
        tokens, never, numbers = np.array(ids), np.asarray(special, bool), np.asarray(rows, np.int64)
        if tokens.ndim != 2 or never.shape != tokens.shape or numbers.shape != tokens.shape[:1]:
            raise InputError(
                f"ids {list(tokens.shape)}, special {list(never.shape)}, rows {list(numbers.shape)}: expected [rows,"
                " time] twice, and [rows]"
            )
        words = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape) if word_ids is None else np.asarray(word_ids)
        if words.shape != tokens.shape:
            raise InputError(f"word_ids {list(words.shape)}: expected the shape of the ids, {list(tokens.shape)}")
        most = self.places(tokens.shape[1]) if places is None else places
        free = ~never & (numbers >= 0)[:, None]  # a row of number -1 is an empty one of the batch
        draws, last = self._draws(free.sum(1), numbers, epoch)
        chosen = self._chosen(free, words, draws[0], last, most)[free]
        # All that follows is one item per chosen token, row by row.
        at_row, at = (index[chosen] for index in np.nonzero(free))
        fate, other = draws[1][chosen], (draws[2][chosen] * self.size).astype(tokens.dtype)
        labels = tokens[at_row, at]
        kept = np.where(fate < self.masked + self.random, other, labels)
        tokens[at_row, at] = np.where(fate < self.masked, self.mask_id, kept)
        counts = np.bincount(at_row, minlength=len(tokens))
        place = np.arange(len(at)) - np.repeat(np.cumsum(counts) - counts, counts)

        def gathered(items: np.ndarray, dtype: DTypeLike) -> np.ndarray:
            out = np.zeros((len(tokens), most), dtype)
            out[at_row, place] = items
            return out

        return MaskedRows(
            tokens, gathered(at, np.int32), gathered(labels, tokens.dtype), gathered(np.ones(len(at)), np.float32)
        )

    def _draws(self, counts: np.ndarray, numbers: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Three numbers from 0 to 1 for each free token [3, tokens], and one for each row; of a row's own generator."""
        found, last = [], np.zeros(len(numbers))
        for row, (count, number) in enumerate(zip(counts.tolist(), numbers.tolist(), strict=True)):
            if count:
                rng = np.random.Generator(np.random.Philox(key=[self.seed, epoch], counter=[0, 0, 0, number]))
                last[row] = rng.random()
                found.append(rng.random((3, count)))
        return np.concatenate(found, axis=1) if found else np.zeros((3, 0)), last

    def _chosen(
        self, free: np.ndarray, words: np.ndarray, draws: np.ndarray, last: np.ndarray, most: int
    ) -> np.ndarray:
        """Which tokens are chosen, bool [rows, time]."""
        row, at = np.nonzero(free)
        # A word begins where the row or the number changes, or where something stands between.
        begins = np.r_[True, (np.diff(row) > 0) | (np.diff(at) > 1) | (np.diff(words[row, at]) != 0)][: len(row)]
        in_row = np.cumsum(begins) - 1
        of_row = row[begins]
        firsts = np.cumsum(np.bincount(of_row, minlength=len(free))) - np.bincount(of_row, minlength=len(free))
        number = in_row - firsts[row]  # of each token's word, within its row
        lengths, keys = np.zeros(free.shape, np.int64), np.full(free.shape, np.inf)
        np.add.at(lengths, (row, number), 1)
        keys[of_row, number[begins]] = draws[begins]
        order = np.argsort(keys, axis=1)
        ordered = np.take_along_axis(lengths, order, 1)
        ends = np.cumsum(ordered, 1)
        target = np.minimum(self.rate * free.sum(1), most)[:, None]
        taken = ends <= target
        # The word that goes beyond, with the probability that keeps the expectation.
        begun = ends - ordered
        beyond = (begun < target) & ~taken & (ends <= most) & (last[:, None] * ordered < target - begun)
        chosen = np.zeros(free.shape, bool)
        np.put_along_axis(chosen, order, taken | beyond, 1)
        result = np.zeros(free.shape, bool)
        result[row, at] = chosen[row, number]
        return result
