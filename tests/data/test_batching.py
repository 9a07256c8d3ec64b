# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the definition: each example once, never longer than its batch, the same for the same seed and epoch."""

from collections import Counter

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given
from hypothesis import strategies as st

from spago_jax.data.batching import LengthBatches, UniformBatches

lengths_of = st.lists(st.integers(0, 40), min_size=1, max_size=60)
settings_of = st.fixed_dictionaries(
    {
        "steps_per_block": st.integers(1, 4),
        "seed": st.integers(0, 3),
        "order": st.sampled_from(["shuffled", "sequential"]),
        "max_buckets": st.integers(1, 4),
    }
)


def indices(blocks):
    return np.concatenate([block.indices.ravel() for block in blocks])


@given(lengths_of, st.integers(1, 7), settings_of, st.integers(0, 5))
def test_each_example_once_in_a_batch_that_holds_it(lengths, batch_size, settings, epoch):
    batches = LengthBatches(lengths, batch_size, **settings)
    blocks = batches.epoch(epoch)
    found = indices(blocks)
    assert sorted(found[found >= 0]) == list(range(len(lengths)))
    assert len(found) - len(lengths) == -len(lengths) % batch_size  # the least there can be
    for block in blocks:
        assert block.indices.dtype == np.int64
        assert block.indices.shape[1] == batch_size
        assert 1 <= block.steps <= settings["steps_per_block"]
        assert block.examples == np.sum(block.indices >= 0)
        assert block.length in batches.bucket_lengths
        assert max(lengths[at] for at in block.indices.ravel() if at >= 0) <= block.length


@given(lengths_of, st.integers(1, 7), settings_of)
def test_shapes_and_numbers_are_the_same_in_every_epoch(lengths, batch_size, settings):
    batches = LengthBatches(lengths, batch_size, **settings)
    counted = None
    for epoch in range(3):
        blocks = batches.epoch(epoch)
        shapes = Counter((*block.indices.shape, block.length) for block in blocks)
        assert counted in (None, shapes)
        counted = shapes
        assert set(shapes) == set(batches.shapes())
        assert len(blocks) == len(batches)
        assert sum(block.steps for block in blocks) == batches.steps
        slots = sum(block.indices.size * block.length for block in blocks)
        assert batches.padding_waste() == pytest.approx(1 - sum(lengths) / slots, abs=1e-12)
    assert len(counted) <= 2 * settings["max_buckets"]


@given(lengths_of, st.integers(1, 7), settings_of)
def test_a_pure_function_of_the_epoch(lengths, batch_size, settings):
    one, two = (LengthBatches(lengths, batch_size, **settings) for _ in range(2))
    one.epoch(5)
    one.epoch(0)
    for a, b in zip(one.epoch(3), two.epoch(3), strict=True):
        assert a.length == b.length
        assert np.array_equal(a.indices, b.indices)


def test_epochs_and_seeds_differ_and_sequences_do_not():
    lengths = [at % 20 + 1 for at in range(200)]
    batches = LengthBatches(lengths, 8)
    other = LengthBatches(lengths, 8, seed=1)
    first, second, third = indices(batches.epoch(0)), indices(batches.epoch(1)), indices(other.epoch(0))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, third)
    sets = [{frozenset(row) for block in batches.epoch(e) for row in block.indices.tolist()} for e in (0, 1)]
    assert not sets[0] & sets[1]  # other batches, not the same ones in another order
    still = LengthBatches(lengths, 8, order="sequential")
    assert np.array_equal(indices(still.epoch(0)), indices(still.epoch(1)))


def test_blocks_of_a_bucket_are_not_all_together():
    batches = LengthBatches([4] * 64 + [30] * 64, 4, bucket_lengths=(8, 32), steps_per_block=2)
    order = [block.length for block in batches.epoch(0)]
    assert Counter(order) == {8: 8, 32: 8}
    assert order not in (sorted(order), sorted(order, reverse=True))


@given(lengths_of, st.integers(1, 7), st.integers(0, 3))
def test_dropping_the_last(lengths, batch_size, epoch):
    if len(lengths) < batch_size:
        with pytest.raises(ValueError, match="no batch left"):
            LengthBatches(lengths, batch_size, drop_last=True)
        return
    batches = LengthBatches(lengths, batch_size, drop_last=True, max_buckets=3)
    found = indices(batches.epoch(epoch))
    assert len(set(found)) == len(found) == len(lengths) // batch_size * batch_size
    assert found.min() >= 0
    assert 0 <= batches.padding_waste() <= 1  # 1 where all lengths are 0


def test_given_buckets():
    batches = LengthBatches([3, 9, 100], 1, bucket_lengths=(8, 16), truncate=True)
    assert sorted((block.length, int(block.indices[0, 0])) for block in batches.epoch(0)) == [(8, 0), (16, 1), (16, 2)]
    assert batches.padding_waste() == pytest.approx(1 - (3 + 9 + 16) / 40)
    assert repr(batches) == "LengthBatches(3 examples, 3 batches of 1 in 3 blocks, lengths [8, 16], 30.0% padding)"


def test_little_padding_on_lengths_like_those_of_tweets():
    lengths = np.clip(np.random.default_rng(0).gamma(4, 5, 5000).astype(int) + 1, 1, 105)
    batches = LengthBatches(lengths, 32, steps_per_block=4)
    # what the choice of lengths alone costs, and at most 31 examples of each length that move on to the next longer
    # one, and 31 rows that stay empty
    buckets = np.array(batches.bucket_lengths)
    slots = buckets[np.searchsorted(buckets, lengths)].sum()
    most = slots + 31 * (buckets[-1] - buckets[0]) + 31 * buckets[-1]
    assert 1 - lengths.sum() / slots <= batches.padding_waste() <= 1 - lengths.sum() / most
    assert LengthBatches(lengths, 32, multiple=1, max_buckets=24, max_padding=0.05).padding_waste() < 0.09
    assert LengthBatches(lengths, 32, bucket_lengths=(105,)).padding_waste() > 0.75


def test_bad_settings():
    with refuses("no examples to make batches of"):
        LengthBatches([], 2)
    with refuses("batch_size is 0, expected 1 or more"):
        LengthBatches([1], 0)
    with refuses("steps_per_block is 0, expected 1 or more"):
        LengthBatches([1], 1, steps_per_block=0)
    with refuses("order 'shufled' is unknown: did you mean 'shuffled'?"):
        LengthBatches([1], 1, order="shufled")
    for buckets in ([], [0, 8], [8, 8], [16, 8]):
        with refuses(f"bucket_lengths {buckets} must ascend, from 1 or more"):
            LengthBatches([1], 1, bucket_lengths=buckets)
    with refuses(
        "example 1 has length 20, more than the longest bucket, 16: add a longer one, or cut longer examples with"
        " truncate=True"
    ):
        LengthBatches([1, 20], 1, bucket_lengths=[8, 16])
    with refuses("no batch left: 3 examples do not fill a batch of 4, and drop_last is set"):
        LengthBatches([1, 2, 3], 4, drop_last=True)
    with refuses("no batch left: 3 examples do not fill a batch of 4, and drop_last is set"):
        UniformBatches(3, 4, drop_last=True)
    with refuses("no examples to make batches of"):
        UniformBatches(0, 4)


@given(
    st.integers(1, 50), st.integers(1, 7), st.integers(1, 4), st.sampled_from(["shuffled", "sequential"]), st.booleans()
)
def test_uniform(n, batch_size, steps, order, drop_last):
    if drop_last and n < batch_size:
        return
    batches = UniformBatches(n, batch_size, steps_per_block=steps, order=order, drop_last=drop_last)
    for epoch in range(2):
        blocks = batches.epoch(epoch)
        found = indices(blocks)
        real = found[found >= 0]
        assert len(set(real)) == len(real) == (n // batch_size * batch_size if drop_last else n)
        assert len(found) - len(real) == (0 if drop_last else -n % batch_size)
        assert len(blocks) == len(batches)
        assert {(*block.indices.shape, block.length) for block in blocks} == set(batches.shapes())
        assert sum(block.steps for block in blocks) == batches.steps
        assert batches.padding_waste() == pytest.approx(1 - len(real) / len(found), abs=1e-12)
        if order == "sequential":
            assert real.tolist() == list(range(len(real)))


def test_uniform_is_shuffled_anew():
    batches = UniformBatches(100, 10)
    assert not np.array_equal(indices(batches.epoch(0)), indices(batches.epoch(1)))
    assert np.array_equal(indices(batches.epoch(1)), indices(UniformBatches(100, 10).epoch(1)))
    assert repr(batches) == "UniformBatches(100 examples, 10 batches of 10 in 10 blocks)"


def test_a_window_keeps_neighbors_together_and_takes_each_example_once():
    """Examples of 64 windows: in an epoch at most a few are open at a time, in another order each epoch."""
    lengths = np.random.default_rng(0).integers(1, 17, 64 * 100)
    batches = LengthBatches(lengths, 4, bucket_lengths=(8, 16), steps_per_block=2, seed=3, window=100)
    orders = []
    for epoch in (0, 1):
        blocks = batches.epoch(epoch)
        assert len(blocks) == len(batches)
        rows = [block.indices[block.indices >= 0] for block in blocks]
        assert sorted(np.concatenate(rows).tolist()) == list(range(len(lengths)))
        first, last = {}, {}
        for place, row in enumerate(rows):
            for window in (row // 100).tolist():
                first.setdefault(window, place)
                last[window] = place
        opened = [sum(first[w] <= place <= last[w] for w in first) for place in range(len(rows))]
        assert max(opened[:-2]) <= 4  # the last blocks hold what did not fill a batch
        orders.append(np.concatenate(rows))
        again = LengthBatches(lengths, 4, bucket_lengths=(8, 16), steps_per_block=2, seed=3, window=100).epoch(epoch)
        assert all((one.indices == other.indices).all() for one, other in zip(blocks, again, strict=True))
    assert (orders[0] != orders[1]).any()
    inside = orders[0][orders[0] // 100 == orders[0][0] // 100]
    assert (np.diff(inside) < 0).any()  # shuffled inside of a window too


def test_a_window_of_nothing_is_refused():
    with refuses("window is 0, expected 1 or more"):
        LengthBatches([1, 2], 1, window=0)
