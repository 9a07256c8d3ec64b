# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the blocks in order, computed without a thread."""

import gc
import json
import threading
import traceback
from itertools import islice

import numpy as np
import pytest
from helpers import refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from spago_jax.data.batching import LengthBatches, UniformBatches
from spago_jax.data.stream import BlockStream
from spago_jax.data.text_chunks import TextChunks


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "spago-jax-stream"]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    gc.collect()
    for thread in threads():
        thread.join(timeout=60)
    assert not threads()


def collate(block):
    return {"indices": block.indices.copy(), "length": np.array(block.length)}


def plain(item):
    position, arrays = item
    return position, {name: array.tolist() for name, array in arrays.items()}


def expected(batches, n):
    items, epoch = [], 0
    while len(items) < n:
        for at, block in enumerate(batches.epoch(epoch)):
            items.append(plain(({"epoch": epoch, "block": at}, collate(block))))
        epoch += 1
    return items[:n]


kinds = st.sampled_from(
    [
        LengthBatches([1, 20, 3, 14, 5, 9, 2, 6], 2, steps_per_block=2, bucket_lengths=(8, 24)),
        UniformBatches(7, 2, steps_per_block=2),
        TextChunks(np.arange(50), 2, 5, seed=1),
    ]
)


@settings(deadline=None, max_examples=40)
@given(kinds, st.integers(0, 12), st.integers(0, 8), st.integers(1, 3))
def test_restored_and_gone_on_is_the_same_stream(batches, before, after, prefetch):
    wanted = expected(batches, before + after)
    with BlockStream(batches, collate, prefetch=prefetch) as stream:
        assert [plain(item) for item in islice(stream, before)] == wanted[:before]
        saved = json.loads(json.dumps(stream.position))
        assert [plain(item) for item in islice(stream, after)] == wanted[before:]
        stream.seek(saved)
        assert stream.position == saved
        assert [plain(item) for item in islice(stream, after)] == wanted[before:]
    with BlockStream(batches, collate, prefetch=prefetch, position=saved) as other:
        assert [plain(item) for item in islice(other, after)] == wanted[before:]
        assert other.position == other.after(saved, after)


def test_the_thread_runs_ahead_by_prefetch_only():
    seen = []
    called = threading.Semaphore(0)

    def slow(block):
        seen.append(threading.current_thread().name)
        called.release()
        return collate(block)

    with BlockStream(UniformBatches(100, 1), slow, prefetch=3) as stream:
        assert seen == []  # nothing before the first is asked for
        next(stream)
        for _ in range(5):  # one delivered, three waiting, one in hand
            assert called.acquire(timeout=60)
        assert stream._worker.ready.full()  # the one in hand waits for room
        assert len(seen) == 5
        assert set(seen) == {"spago-jax-stream"}
        assert stream.position == {"epoch": 0, "block": 1}


def test_an_error_comes_out_with_its_place():
    def broken_collate(block):
        if block.indices[0, 0] == 3:
            raise ZeroDivisionError("in the thread")
        return collate(block)

    stream = BlockStream(UniformBatches(5, 1, order="sequential"), broken_collate)
    assert len(list(islice(stream, 3))) == 3
    with pytest.raises(ZeroDivisionError, match="in the thread") as caught:
        next(stream)
    assert "broken_collate" in "".join(traceback.format_tb(caught.value.__traceback__))
    assert stream.position == {"epoch": 0, "block": 3}
    assert not threads()
    with pytest.raises(ZeroDivisionError):  # again, not a wait for ever
        next(stream)


def test_closed_it_can_go_on():
    stream = BlockStream(UniformBatches(5, 1, order="sequential"), collate)
    next(stream)
    stream.close()
    stream.close()
    assert not threads()
    assert next(stream)[0] == {"epoch": 0, "block": 1}
    stream.close()


def test_dropped_without_close_its_thread_ends():
    stream = BlockStream(UniformBatches(5, 1), collate)
    next(stream)
    assert len(threads()) == 1
    del stream  # the fixture waits for the thread to end


def test_closing_waits_for_no_full_queue():
    called = threading.Semaphore(0)

    def counted(block):
        called.release()
        return collate(block)

    stream = BlockStream(UniformBatches(1000, 1), counted, prefetch=1)
    next(stream)
    for _ in range(3):  # one delivered, one waiting, one in hand
        assert called.acquire(timeout=60)
    closing = threading.Thread(target=stream.close, daemon=True)
    closing.start()
    closing.join(timeout=60)
    assert not closing.is_alive()
    assert not threads()


def test_bad_arguments():
    batches = UniformBatches(6, 2)
    with refuses("prefetch is 0, expected 1 or more"):
        BlockStream(batches, collate, prefetch=0)
    with refuses("a position has epoch and block, this one has epoch, step"):
        BlockStream(batches, collate, position={"epoch": 0, "step": 1})
    stream = BlockStream(batches, collate)
    for epoch, block in ((0, 3), (-1, 0), (0, -1)):
        with refuses(
            f"position epoch {epoch}, block {block}: an epoch has 3 blocks here"
            " (saved with other data or other batches?)"
        ):
            stream.seek({"epoch": epoch, "block": block})
    assert stream.position == {"epoch": 0, "block": 0}

    class Nothing:
        def __len__(self):
            return 0

        def epoch(self, epoch):
            return []

    with refuses("no blocks in an epoch: the stream would never deliver one"):
        BlockStream(Nothing(), collate)
