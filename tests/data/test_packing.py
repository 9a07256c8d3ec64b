"""Packing. Oracle: first fit as it is written in books, one row after the other."""

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.packing import Packing


def first_fit(lengths, size):
    rows = []
    for text, length in enumerate(lengths):
        row = next((row for row in rows if sum(lengths[other] for other in row) + length <= size), None)
        if row is None:
            rows.append([text])
        else:
            row.append(text)
    return rows


@given(st.integers(1, 12).flatmap(lambda size: st.tuples(st.just(size), st.lists(st.integers(0, size), max_size=20))))
def test_first_fit(given_lengths):
    size, lengths = given_lengths
    packing = Packing(lengths, size)
    expected = first_fit(lengths, size)
    assert packing.count == len(expected)
    assert [np.flatnonzero(packing.rows == row).tolist() for row in range(packing.count)] == expected
    texts = [np.arange(length) + 100 * (text + 1) for text, length in enumerate(lengths)]
    packed = packing.pack(texts, padding=-7)
    assert packed.values.shape == packed.segments.shape == (packing.count, size)
    for row, members in enumerate(expected):
        parts = [text for text in members if lengths[text]]
        wanted = [(value, segment, place, text) for segment, text in enumerate(parts, 1)
                  for place, value in enumerate(texts[text])]  # fmt: skip
        wanted += [(-7, 0, 0, -1)] * (size - len(wanted))
        assert list(zip(*(array[row].tolist() for array in packed), strict=True)) == wanted
    assert all(np.array_equal(a, b) for a, b in zip(packing.unpack(packed.values), texts, strict=True))
    assert packed.segments.dtype == packed.positions.dtype == np.int32


def test_vectors_and_types_stay_as_they_are():
    texts = [np.ones((2, 3), np.float16), np.zeros((1, 3), np.float16)]
    packed = Packing([2, 1], 4).pack(texts, padding=9)
    assert packed.values.shape == (1, 4, 3)
    assert packed.values.dtype == np.float16
    assert packed.values[0, 3].tolist() == [9, 9, 9]


def test_nothing_and_long_lists():
    empty = Packing([], 4)
    assert (empty.count, empty.pack([]).values.shape, empty.unpack(np.zeros((0, 4)))) == (0, (0, 4), [])
    lengths = np.random.default_rng(0).integers(1, 128, 20_000)
    assert Packing(lengths, 128).count < 1.03 * lengths.sum() / 128  # little is lost; and it takes no time


@pytest.mark.parametrize(
    ("lengths", "size", "message"),
    [
        ([2, 9, 3], 8, "text 1 has 9 tokens, more than a row of 8: cut it into windows, or make the rows longer"),
        ([2], 0, "rows of 0 tokens: expected 1 or more"),
        ([2, -1], 8, "lengths [2, -1]: expected one number from 0 per text"),
    ],
)
def test_what_cannot_be_packed(lengths, size, message):
    with refuses(message):
        Packing(lengths, size)


def test_texts_of_other_lengths():
    packing = Packing([2, 1], 4)
    with refuses("text 1 of 2 tokens: expected 1, as the packing was made for"):
        packing.pack([[1, 2], [3, 4]])
    with refuses("1 texts: expected 2, as the packing was made for"):
        packing.pack([[1, 2]])
    with refuses("shape [1, 3]: expected [1, 4, ...], as was packed"):
        packing.unpack(np.zeros((1, 3)))
