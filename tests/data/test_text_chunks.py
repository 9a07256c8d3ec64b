# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: the pairs of a character and its follower, taken from the text by hand."""

import numpy as np
import pytest
from helpers import refuses
from hypothesis import assume, given
from hypothesis import strategies as st

from spago_jax.data.text_chunks import TextChunks
from spago_jax.errors import InputError

sizes = {"n": st.integers(2, 80), "batch": st.integers(1, 5), "chunk": st.integers(1, 6), "steps": st.integers(1, 4)}


def streams(chunks, epoch):
    """What each row reads through an epoch: its inputs and targets, one after the other."""
    blocks = [chunks.gather(block) for block in chunks.epoch(epoch)]
    rows = []
    for b in range(chunks.batch_size):
        row = []
        for block in blocks:
            for s in range(block["lengths"].shape[0]):
                length = block["lengths"][s, b]
                row.extend(
                    zip(block["inputs"][s, b, :length].tolist(), block["targets"][s, b, :length].tolist(), strict=True)
                )
        rows.append(row)
    return rows


@given(**sizes)
def test_the_tail_kept_every_pair_comes_once(n, batch, chunk, steps):
    chunks = TextChunks(np.arange(100, 100 + n), batch, chunk, steps_per_block=steps, keep_tail=True)
    pairs = [pair for row in streams(chunks, 0) for pair in row]
    assert pairs == [(at, at + 1) for at in range(100, 100 + n - 1)]
    blocks = chunks.epoch(0)
    padded = sum(block.indices.size * chunk for block in blocks)
    assert chunks.padding_waste() == pytest.approx(1 - (n - 1) / padded, abs=1e-12)
    for block in blocks:
        arrays = chunks.gather(block)
        beyond = np.arange(chunk) >= arrays["lengths"][..., None]
        assert not arrays["inputs"][beyond].any()
        assert not arrays["targets"][beyond].any()


@given(**sizes, seed=st.none() | st.integers(0, 3), epoch=st.integers(0, 3))
def test_streams_go_on(n, batch, chunk, steps, seed, epoch):
    try:
        chunks = TextChunks(np.arange(n), batch, chunk, steps_per_block=steps, seed=seed)
    except InputError:
        assume(False)
        raise
    blocks = chunks.epoch(epoch)
    assert [block.first for block in blocks] == [True] + [False] * (len(chunks) - 1)
    assert {(*block.indices.shape, block.length) for block in blocks} == set(chunks.shapes())
    rows = streams(chunks, epoch)
    offset = chunks.offset(epoch)
    assert 0 <= offset < chunk
    assert offset == 0 or seed is not None
    width = (n - 1 - (0 if seed is None else chunk - 1)) // batch
    for b, row in enumerate(rows):
        start = offset + b * width
        assert row == [(at, at + 1) for at in range(start, start + width // chunk * chunk)]
    arrays = chunks.gather(blocks[0])
    assert (arrays["lengths"] == chunk).all()


def test_epochs_begin_elsewhere_with_a_seed():
    chunks = TextChunks(np.zeros(1000, np.uint8), 4, 50, seed=0)
    assert len({chunks.offset(epoch) for epoch in range(20)}) > 10
    assert [TextChunks(np.zeros(1000), 4, 50, seed=0).offset(e) for e in range(5)] == [
        chunks.offset(e) for e in range(5)
    ]


def test_arrays_are_ready_for_the_device():
    chunks = TextChunks(np.arange(30, dtype=np.uint8), 2, 3, steps_per_block=2)
    arrays = chunks.gather(chunks.epoch(0)[0])
    assert {name: (a.shape, a.dtype, a.flags.c_contiguous) for name, a in arrays.items()} == {
        "inputs": ((2, 2, 3), np.int32, True),
        "targets": ((2, 2, 3), np.int32, True),
        "lengths": ((2, 2), np.int32, True),
    }
    assert chunks.gather(chunks.epoch(0)[0], dtype=np.uint8)["inputs"].dtype == np.uint8
    assert repr(chunks) == "TextChunks(30 characters, 4 steps of 2 x 3 in 2 blocks)"


def test_nothing_of_the_text_is_held(tmp_path):
    path = tmp_path / "ids.npy"
    np.save(path, np.arange(1000, dtype=np.uint8))
    chunks = TextChunks(np.load(path, mmap_mode="r"), 4, 10)
    assert isinstance(chunks.ids.base, np.memmap)


def test_bad_settings():
    with refuses("chunk is 0, expected 1 or more"):
        TextChunks(np.arange(9), 2, 0)
    with refuses("batch_size is 0, expected 1 or more"):
        TextChunks(np.arange(9), 0, 2)
    with refuses("steps_per_block is 0, expected 1 or more"):
        TextChunks(np.arange(9), 2, 2, steps_per_block=0)
    with refuses("seed and keep_tail are both given: a random start leaves characters out"):
        TextChunks(np.arange(9), 2, 2, seed=0, keep_tail=True)
    message = "a text of {} characters is too short for 2 streams of chunks of 4: {} are needed; take a smaller"
    for n, seed, tail, needed in ((8, None, False, 9), (11, 0, False, 12), (1, None, True, 2)):
        with refuses(message.format(n, needed) + " batch_size or chunk"):
            TextChunks(np.arange(n), 2, 4, seed=seed, keep_tail=tail)
        TextChunks(np.arange(needed), 2, 4, seed=seed, keep_tail=tail)
