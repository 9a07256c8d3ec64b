"""Masking. Oracles: counts against their expectation, and the rules by hand."""

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.masking import WordMasking

MASK, SIZE = 4, 1000


def rows_of(n, time, *, seed=0, words=True):
    """Random rows with a special token at both ends and padding, in words of one to four pieces."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, SIZE, (n, time))
    lengths = rng.integers(2, time + 1, n)
    place = np.arange(time)
    special = (place == 0) | (place >= lengths[:, None] - 1)
    starts = rng.random((n, time)) < 0.5
    return ids, special, np.where(special, -1, np.cumsum(starts, 1)) if words else None


@given(
    st.integers(0, 99), st.floats(0, 1), st.floats(0, 1), st.integers(1, 12), st.integers(0, 4), st.booleans(),
)  # fmt: skip
def test_what_is_masked_is_what_is_said(seed, rate, masked, time, epoch, words):
    ids, special, word_ids = rows_of(4, time + 1, seed=seed, words=words)
    masking = WordMasking(MASK, SIZE, rate=rate, masked=masked, random=(1 - masked) / 2, seed=seed)
    found = masking(ids, special, word_ids, rows=np.arange(4) + 7, epoch=epoch)
    assert found.positions.shape == found.labels.shape == found.weights.shape == (4, masking.places(time + 1))
    for row in range(4):
        count = int(found.weights[row].sum())
        assert found.weights[row].tolist() == [1] * count + [0] * (len(found.weights[row]) - count)
        places = found.positions[row, :count]
        assert (np.diff(places) > 0).all()
        assert not special[row, places].any()
        assert found.labels[row, :count].tolist() == ids[row, places].tolist()
        rest = np.ones(time + 1, bool)
        rest[places] = False
        assert (found.ids[row] == ids[row])[rest].all()
        if words:  # a chosen piece has its whole word with it
            for place in places:
                whole = np.flatnonzero((word_ids[row] == word_ids[row, place]) & ~special[row])
                assert set(whole) <= set(places)


@pytest.mark.parametrize("words", [False, True])
def test_shares_are_those_that_are_said(words):
    ids, special, word_ids = rows_of(6_000, 24, words=words)
    masking = WordMasking(MASK, SIZE)
    found = masking(ids, special, word_ids, rows=np.arange(len(ids)), epoch=0, places=24)
    free, chosen = (~special).sum(), found.weights.sum()
    assert abs(chosen / free - 0.15) < 0.004
    before = found.labels[found.weights > 0]
    after = np.take_along_axis(found.ids, found.positions, 1)[found.weights > 0]
    changed = after != before
    assert abs((after == MASK).mean() - 0.8) < 0.015
    assert abs((changed & (after != MASK)).mean() - 0.1) < 0.01
    others = after[changed & (after != MASK)]
    assert others.min() < 30  # any token of the vocabulary, special ones included
    assert others.max() > SIZE - 30
    assert len(set(others.tolist())) > 0.6 * SIZE


def test_long_words_are_chosen_as_often_as_short_ones():
    n, time = 5_000, 41
    word_ids = np.tile(np.r_[-1, np.repeat(np.arange(20), [1, 3] * 10)], (n, 1))  # ten words of each length
    special = word_ids < 0
    found = WordMasking(MASK, SIZE)(np.full((n, time), 9), special, word_ids, rows=np.arange(n), epoch=0, places=time)
    times = np.bincount(found.positions[found.weights > 0], minlength=time)[1:] / n
    lengths = np.repeat([1, 3] * 10, [1, 3] * 10)
    assert (
        abs(times[lengths == 1].mean() - times[lengths == 3].mean()) < 0.025
    )  # the last word favors short ones a little
    assert abs(times.mean() - 0.15) < 0.003


def test_it_depends_on_seed_epoch_and_row_alone():
    ids, special, word_ids = rows_of(16, 20)
    masking = WordMasking(MASK, SIZE, seed=3)

    def masked(order, epoch=0, more=0, masking=masking):
        wide = ((0, 0), (0, more))
        found = masking(
            np.pad(ids[order], wide), np.pad(special[order], wide, constant_values=True),
            np.pad(word_ids[order], wide, constant_values=-1), rows=np.array(order), epoch=epoch, places=8,
        )  # fmt: skip
        return [found.ids[i, :20].tolist() for i in range(len(order))], found.positions.tolist()

    everything = masked(list(range(16)))
    for order in ([5], [9, 5, 2]):
        some = masked(order, more=11)
        assert some == ([everything[0][i] for i in order], [everything[1][i] for i in order])
    assert masked(list(range(16)), epoch=1) != everything
    assert masked(list(range(16)), masking=WordMasking(MASK, SIZE, seed=4)) != everything


def test_places_are_never_more_than_there_are():
    ids, special, word_ids = rows_of(500, 40)
    found = WordMasking(MASK, SIZE, rate=0.9)(ids, special, word_ids, rows=np.arange(500), epoch=0, places=5)
    assert found.weights.sum(1).max() == 5
    masking = WordMasking(MASK, SIZE)
    assert [masking.places(length) for length in (1, 20, 128, 512)] == [1, 4, 26, 103]
    empty = masking(ids, np.ones_like(special), word_ids, rows=np.arange(500), epoch=0)
    assert empty.weights.sum() == 0
    assert (empty.ids == ids).all()
    assert masking(ids[:1], special[:1], rows=[-1], epoch=0).weights.sum() == 0  # an empty row of a batch


def test_words_of_both_texts_of_a_pair_are_two():
    """The numbers of words begin anew in the second text."""
    special = np.array([[True, False, False, True, False, True]])
    words = np.array([[-1, 0, 0, -1, 0, -1]])
    masking = WordMasking(MASK, SIZE, rate=1 / 3)
    sets = set()
    for row in range(60):
        found = masking(np.full((1, 6), 9), special, words, rows=[row], epoch=0, places=6)
        sets.add(tuple(found.positions[0, : int(found.weights.sum())].tolist()))
    assert sets == {(), (1, 2), (4,)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 1.5}, "rate = 1.5: expected a share, 0 to 1"),
        ({"masked": 0.8, "random": 0.3}, "masked + random = 1.1: expected a share, 0 to 1"),
        ({"mask_id": 1000}, "mask_id 1000: expected an id of the vocabulary, 0 to 999"),
        ({"seed": -1}, "seed -1: expected 0 or more"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with refuses(message):
        WordMasking(**{"mask_id": MASK, "size": SIZE, **options})


def test_shapes_that_do_not_fit():
    masking = WordMasking(MASK, SIZE)
    with refuses("ids [1, 2], special [1, 3], rows [1]: expected [rows, time] twice, and [rows]"):
        masking([[1, 2]], [[True] * 3], rows=[0], epoch=0)
    with refuses("word_ids [1, 1]: expected the shape of the ids, [1, 2]"):
        masking([[1, 2]], [[False] * 2], [[0]], rows=[0], epoch=0)
