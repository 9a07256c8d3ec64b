# SPDX-License-Identifier: BSD-2-Clause
"""Oracle: bytes by hand, struct of the standard library, and the published label counts of MNIST."""

import gzip
import struct

import numpy as np
import pytest

from spago_jax.data.formats.idx import read_idx, write_idx
from spago_jax.errors import InputError


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_idx(path)
    return str(caught.value).removeprefix(str(path))


def test_bytes_by_hand_are_mapped(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(struct.pack(">BBBBII6B", 0, 0, 8, 2, 2, 3, *range(6)))
    array = read_idx(path)
    assert isinstance(array, np.memmap)
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert array.dtype == np.uint8


@pytest.mark.parametrize(
    ("code", "letter", "dtype"),
    [(9, "b", np.int8), (0xB, "h", np.int16), (0xC, "i", np.int32), (0xD, "f", np.float32), (0xE, "d", np.float64)],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_every_type(tmp_path, code, letter, dtype, suffix):
    path = tmp_path / f"a{suffix}"
    data = struct.pack(f">BBBBI3{letter}", 0, 0, code, 1, 3, -1, 2, 100)
    path.write_bytes(gzip.compress(data) if suffix else data)
    for native in (True, False):
        array = read_idx(path, native=native)
        assert array.tolist() == [-1, 2, 100]
        assert array.dtype == (dtype if native else np.dtype(dtype).newbyteorder(">"))
    again = tmp_path / "again"
    write_idx(again, read_idx(path))
    assert again.read_bytes() == data


def test_nothing_in_it(tmp_path):
    path = tmp_path / "a"
    write_idx(path, np.empty((0, 28), np.uint8))
    assert read_idx(path).shape == (0, 28)


def test_errors(tmp_path):
    path = tmp_path / "a"
    head = struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3)
    assert refused(path, b"") == ": cut off: 0 bytes, expected the 4 of an IDX magic number"
    assert refused(path, b"PK\3\4") == (
        ": not an IDX file: it begins with 50 4b 03 04, expected 00 00, a type (08, 09, 0b, 0c, 0d, 0e) and the"
        " number of dimensions"
    )
    assert refused(path, bytes([0, 0, 8, 0])).startswith(": not an IDX file: it begins with 00 00 08 00")
    assert refused(path, head[:9]) == ": cut off within the sizes of its 2 dimensions"
    assert refused(path, head + bytes(5)) == ": cut off: 5 bytes of data, expected 6 for [2, 3] of uint8"
    assert refused(path, head + bytes(8)) == ": too long: 8 bytes of data, expected 6 for [2, 3] of uint8"
    packed = tmp_path / "a.gz"
    assert refused(packed, gzip.compress(head + bytes(5))) == (
        ": cut off: 5 bytes of data, expected 6 for [2, 3] of uint8"
    )
    assert refused(packed, gzip.compress(head + bytes(9))) == (
        ": too long: more than 6 bytes of data, expected 6 for [2, 3] of uint8"
    )
    assert refused(packed, gzip.compress(head + bytes(6))[:-9]) == (
        ": the compressed data end too early: the file is cut off"
    )


@pytest.mark.parametrize("array", [np.zeros(3, np.int64), np.zeros((), np.uint8)])
def test_what_idx_cannot_hold(tmp_path, array):
    with pytest.raises(InputError) as caught:
        write_idx(tmp_path / "a", array)
    assert str(caught.value).endswith(
        f"IDX has no {array.ndim}-dimensional {array.dtype}; its types are uint8, int8, int16, int32, float32, float64"
    )


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("part", "n", "counts"),
    [
        ("train", 60000, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("t10k", 10000, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
    ],
)
def test_mnist(shared_data, part, n, counts):
    labels = read_idx(shared_data / "mnist" / f"{part}-labels-idx1-ubyte.gz")
    assert np.bincount(labels).tolist() == counts
    if part == "t10k":
        assert read_idx(shared_data / "mnist" / f"{part}-images-idx3-ubyte.gz").shape == (n, 28, 28)


def test_sizes_that_memory_cannot_hold_are_refused(tmp_path):
    data = struct.pack(">BBBBII", 0, 0, 0x0E, 2, 2**32 - 1, 2**32 - 1)
    assert refused(tmp_path / "a.gz", gzip.compress(data + b"1234")).startswith(": cut off: 4 bytes of data, expected")
    assert refused(tmp_path / "a", data).startswith(": cut off: 0 bytes of data, expected")
