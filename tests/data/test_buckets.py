# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: brute force over all choices."""

from itertools import combinations

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.compiler.bucket_sizes import choose_buckets


def padded(lengths, buckets):
    return sum(min(bucket for bucket in buckets if bucket >= length) for length in lengths)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(1, 4), st.sampled_from([1, 4, 8]))
def test_no_choice_is_better(lengths, n, multiple):
    buckets = choose_buckets(lengths, n, multiple=multiple)
    assert list(buckets) == sorted(set(buckets))
    assert all(bucket % multiple == 0 and bucket >= 1 for bucket in buckets)
    assert len(buckets) <= n
    ends = sorted({max(-(-length // multiple), 1) * multiple for length in lengths})
    choices = [(*chosen, ends[-1]) for k in range(n) for chosen in combinations(ends[:-1], k)]
    assert padded(lengths, buckets) == min(padded(lengths, choice) for choice in choices)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.floats(0, 1))
def test_the_fewest_that_are_good_enough(lengths, share):
    buckets = choose_buckets(lengths, 5, multiple=1, max_padding=share)
    for n in range(1, len(buckets)):
        assert sum(lengths) < (1 - share) * padded(lengths, choose_buckets(lengths, n, multiple=1))
    if len(buckets) < min(5, len(set(lengths))):
        assert sum(lengths) >= (1 - share) * padded(lengths, buckets)


def test_very_many_lengths():
    lengths = np.arange(1, 100_001)
    buckets = choose_buckets(lengths, 4)
    assert len(buckets) == 4
    assert buckets[-1] >= 100_000
    # of evenly spread lengths the best four are the quarters
    assert np.allclose(buckets, [25_000, 50_000, 75_000, 100_000], rtol=0.01)


@pytest.mark.parametrize("lengths", [[], [3, -1]])
def test_bad_lengths(lengths):
    with refuses("lengths to choose buckets from: none, or a negative one; expected one an example, 0 or more"):
        choose_buckets(lengths)


def test_bad_settings():
    with refuses("n=0 buckets of a multiple of 8: both must be 1 or more"):
        choose_buckets([1], 0)
    with refuses("n=8 buckets of a multiple of 0: both must be 1 or more"):
        choose_buckets([1], multiple=0)
