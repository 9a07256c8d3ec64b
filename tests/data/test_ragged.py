# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the same rows as Python lists."""

import json
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.ragged import RaggedArray, RaggedWriter
from spago_jax.errors import InputError

rows_of_numbers = st.lists(st.lists(st.integers(-9, 9), max_size=5), max_size=8)


@given(rows_of_numbers, st.data())
def test_gather_is_padding_by_hand(rows, data):
    ragged = RaggedArray.from_lengths(np.array(list(chain(*rows)), np.int16), [len(row) for row in rows])
    assert [ragged[at].tolist() for at in range(len(ragged))] == rows
    indices = data.draw(st.lists(st.lists(st.integers(-1, len(rows) - 1), min_size=2, max_size=2), max_size=3))
    truncate = data.draw(st.booleans())
    length = data.draw(st.integers(0 if truncate else max(map(len, rows), default=0), 6))
    chosen = [[rows[at][:length] if at >= 0 else [] for at in pair] for pair in indices]
    padded, lengths = ragged.gather(np.array(indices, np.int64).reshape(-1, 2), length, pad=7, truncate=truncate)
    assert padded.shape == (len(indices), 2, length)
    assert padded.dtype == np.int16
    assert padded.tolist() == [[row + [7] * (length - len(row)) for row in pair] for pair in chosen]
    assert lengths.dtype == np.int32
    assert lengths.tolist() == [[len(row) for row in pair] for pair in chosen]


@given(rows_of_numbers, st.integers(0, 8))
def test_written_in_parts_and_mapped(tmp_path_factory, rows, cut):
    folder = tmp_path_factory.mktemp("ragged")
    with RaggedWriter(folder, "a", np.int32) as writer:
        for part in (rows[:cut], rows[cut:]):
            writer.extend(list(chain(*part)), [len(row) for row in part])
        assert not (folder / "a.json").exists()
    ragged = RaggedArray.open(folder, "a")
    assert [ragged[at].tolist() for at in range(len(ragged))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    ragged.save(folder, "b")
    assert RaggedArray.open(folder, "b").values.tolist() == ragged.values.tolist()


def test_values_stay_on_disk(tmp_path):
    RaggedArray.from_lengths(np.arange(10), [4, 6]).save(tmp_path, "a")
    ragged = RaggedArray.open(tmp_path, "a")
    assert isinstance(ragged.values.base, np.memmap)
    assert not ragged.values.flags.writeable
    assert repr(ragged) == "RaggedArray(2 rows, 10 values, int64)"
    with pytest.raises(IndexError, match=r"row 2 of 2"):
        ragged[2]


def test_bad_gathers():
    ragged = RaggedArray([1, 2, 3], [0, 1, 3])
    with pytest.raises(InputError, match=r"^row 1 has 2 values, more than the length 1 to pad to$"):
        ragged.gather([0, 1], 1)
    with pytest.raises(InputError, match=r"^rows 0 to 2 requested, there are 2$"):
        ragged.gather([0, 2], 4)
    with pytest.raises(InputError, match=r"^rows -2 to 0 requested, there are 2$"):
        ragged.gather([-2, 0], 4)


def test_bad_parts():
    with pytest.raises(InputError, match=r"^offsets \[1, 2\]... do not begin at 0$"):
        RaggedArray([1, 2], [1, 2])
    for offsets in ([0, 1], [0, 2, 1, 2]):
        with pytest.raises(InputError, match=r"^expected offsets that never fall and end at 2, the number of values$"):
            RaggedArray([1, 2], offsets)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def fail():
        with RaggedWriter(tmp_path, "a", np.int32) as writer:
            writer.extend([1, 2], [2])
            writer.extend([1, 2], [3])

    with pytest.raises(InputError, match=r"^lengths add up to 3, but there are 2 values$"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_damaged_files(tmp_path):
    RaggedArray([1, 2, 3], [0, 1, 3]).save(tmp_path, "a")
    (tmp_path / "a.values").write_bytes(b"abc")
    with pytest.raises(InputError, match=r"a\.values: 3 bytes, expected 24 bytes"):
        RaggedArray.open(tmp_path, "a")
    (tmp_path / "a.values").unlink()
    with pytest.raises(InputError, match=r"a\.values: missing, expected 24 bytes"):
        RaggedArray.open(tmp_path, "a")
    for text in ("{", "{}", "[]", json.dumps({"dtype": "x", "rows": 1, "values": 1})):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(InputError, match=r"a\.json: no ragged array: missing or incomplete"):
            RaggedArray.open(tmp_path, "a")
