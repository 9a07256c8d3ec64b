"""Buckets of pairs, and batches of as many tokens."""

import numpy as np
import pytest
from helpers import refuses

from spago_jax.data.batching import LengthBatches
from spago_jax.data.pair_buckets import PairBuckets


@pytest.fixture(scope="module")
def lengths():
    random = np.random.default_rng(0)
    sources = random.integers(3, 90, 500)
    return sources, np.maximum(sources // 3 + random.integers(0, 40, 500), 1)


def batches_of(lengths, buckets, sizes, **how):
    return LengthBatches(np.maximum(*lengths), sizes, bucket_lengths=buckets.lengths, **how)


def test_batches_have_at_most_so_many_tokens_and_every_pair_once(lengths):
    """By brute force: no side is longer than its padding, no batch holds more than it may, nothing is lost."""
    sources, targets = lengths
    buckets = PairBuckets.choose([lengths], 4)
    sizes = buckets.rows(512, 2)
    assert len(set(sizes)) > 2
    for epoch in (0, 1):
        seen = []
        for block in batches_of(lengths, buckets, sizes, steps_per_block=3).epoch(epoch):
            source, target = buckets.padded(block.length)
            rows = block.indices[block.indices >= 0]
            assert sources[rows].max() <= source
            assert targets[rows].max() <= target
            assert block.indices.shape[1] * max(source, target) <= 512
            assert block.indices.shape[1] % 2 == 0
            seen += rows.tolist()
        assert sorted(seen) == list(range(500))


def test_shapes_are_those_of_every_epoch(lengths):
    buckets = PairBuckets.choose([lengths], 4)
    batches = batches_of(lengths, buckets, buckets.rows(512), steps_per_block=3)
    promised = set(batches.shapes())
    for epoch in range(3):
        blocks = batches.epoch(epoch)
        assert {(block.steps, block.indices.shape[1], block.length) for block in blocks} == promised
        assert len(blocks) == len(batches)
        assert sum(block.steps for block in blocks) == batches.steps
    held = sum(block.indices.size * block.length for block in batches.epoch(0))
    assert batches.padding_waste() == pytest.approx(1 - np.maximum(*lengths).sum() / held)


def test_targets_are_padded_to_their_own_length():
    """Summaries: long sources, short targets."""
    buckets = PairBuckets.choose([([100, 110, 400], [9, 12, 30])], 2)
    assert buckets.lengths == (112, 400)
    assert (buckets.sources, buckets.targets) == ((112, 400), (16, 32))
    assert buckets.rows(800) == (7, 2)


def test_a_budget_without_room_is_refused(lengths):
    buckets = PairBuckets.choose([lengths], 4)
    longest = max(buckets.sources[-1], buckets.targets[-1])
    with refuses(
        f"100 tokens per batch, and 2 of the longest pairs take {2 * longest}: take more tokens per batch, or leave "
        "long pairs out"
    ):
        buckets.rows(100, 2)


def test_there_is_one_size_for_each_bucket():
    with refuses("2 numbers as batch_size, expected 3, one per bucket"):
        LengthBatches([1, 2, 3], [4, 4], bucket_lengths=(1, 2, 3))
