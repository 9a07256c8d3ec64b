# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: collections.Counter and ord of Python."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.lexicon import Lexicon, LexiconBuilder
from spago_jax.errors import InputError


@given(st.lists(st.lists(st.text(max_size=4), max_size=9), max_size=4))
def test_numbers_counts_and_strings(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("lexicon")
    builder = LexiconBuilder()
    ids = [builder.encode(part).tolist() for part in parts]
    builder.build().save(folder)
    lexicon = Lexicon.open(folder)
    forms = list(dict.fromkeys(chain(*parts)))
    assert list(lexicon) == [lexicon[at] for at in range(len(lexicon))] == forms
    assert len(builder) == len(lexicon) == len(forms)
    assert [[forms[number] for number in part] for part in ids] == parts
    counted = Counter(list(chain(*parts)))
    assert lexicon.counts.tolist() == [counted[form] for form in forms]
    points = lexicon.code_points()
    assert [points[at].tolist() for at in range(len(points))] == [[ord(c) for c in form] for form in forms]


def test_more_forms_than_at_first(tmp_path):
    builder = LexiconBuilder()
    builder.encode([str(n) for n in range(5000)])
    builder.encode([str(n) for n in range(4000, 6000)])
    lexicon = builder.build()
    assert len(lexicon) == 6000
    assert lexicon.counts.tolist() == [1] * 4000 + [2] * 1000 + [1] * 1000
    assert repr(lexicon) == "Lexicon(6000 forms, 7000 occurrences)"


def test_lone_surrogates_are_kept():
    builder = LexiconBuilder()
    builder.encode(["a\ud83d", "b"])
    lexicon = builder.build()
    assert list(lexicon) == ["a\ud83d", "b"]
    assert lexicon.code_points()[0].tolist() == [97, 0xD83D]


def test_lookup():
    builder = LexiconBuilder()
    ids = builder.encode(["The", "cat", "the"])
    lexicon = builder.build()
    assert lexicon.lookup({"the": 7}, unknown=1)[ids].tolist() == [1, 1, 7]
    assert lexicon.lookup(len)[ids].tolist() == [3, 3, 3]
    assert lexicon.lookup({}).dtype == np.int32


def test_damaged(tmp_path):
    builder = LexiconBuilder()
    builder.encode(["a"])
    builder.build().save(tmp_path)
    np.save(tmp_path / "counts.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"counts\.npy: 3 counts, expected 1, one per form"):
        Lexicon.open(tmp_path)
    (tmp_path / "counts.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"counts\.npy: missing or damaged"):
        Lexicon.open(tmp_path)
    with pytest.raises(InputError, match=r"no ragged array"):
        Lexicon.open(tmp_path / "no")
