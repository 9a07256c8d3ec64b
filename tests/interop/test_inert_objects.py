"""Pickles of objects: what they hold is read, and nothing in them runs."""

import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints.inert_objects import Record, array_of, number_of, read_objects

PATH = Path("objects.pkl")


class Holder:
    """An object with attributes."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def read(value, protocol=4):
    data = pickle.dumps(value, protocol)
    found, size = read_objects(data + b"more", PATH)
    assert size == len(data)
    return found


@pytest.mark.parametrize("protocol", range(6))
def test_objects_arrays_and_containers_are_read_in_every_protocol(protocol: int):
    numbers = np.arange(6, dtype=np.float32).reshape(2, 3)
    counts = defaultdict(int, {b"key": 2})
    found = read(
        Holder(a=1, f=np.asfortranarray(numbers), s={3}, d=OrderedDict(x=None), c=counts, n=np.int64(7), b=b"\xff"),
        protocol,
    )
    assert isinstance(found, Record)
    assert found.name.endswith("Holder") or found.name == "copyreg._reconstructor" or "copy_reg" in found.name
    assert found.get("a") == 1
    assert found.get("nothing", 5) == 5
    np.testing.assert_array_equal(array_of(found.get("f"), PATH), numbers)
    assert found.get("s") == [3]
    assert found.get("d") == {"x": None}
    assert found.get("c") == {b"key": 2}
    assert number_of(found.get("n")) == 7
    assert found.get("b") == b"\xff"


def test_keys_that_are_objects_are_left_out():
    assert read({PurePosixPath("a"): 1, "b": 2, None: 3}) == {"b": 2, None: 3}


def test_nothing_is_imported_or_called(tmp_path: Path):
    mark = tmp_path / "ran"

    class Hostile:
        def __reduce__(self):
            return (mark.write_text, ("ran",))

    found, _ = read_objects(pickle.dumps({"x": Hostile()}), PATH)
    assert isinstance(found["x"], Record)
    assert not mark.exists()


def test_damaged_pickles_are_refused():
    data = pickle.dumps({"x": list(range(100))})
    with pytest.raises(InputError, match="objects.pkl: the pickle is damaged"):
        read_objects(data[:-20], PATH)
    with pytest.raises(InputError, match="longer than 50 bytes"):
        read_objects(data, PATH, limit=50)
    with pytest.raises(InputError, match="instruction EXT1"):
        read_objects(b"\x80\x02\x82\x01.", PATH)
    array = read(np.zeros(3))
    array.state = (*array.state[:4], b"12")
    with pytest.raises(InputError, match="too few or too many"):
        array_of(array, PATH)
    with pytest.raises(InputError, match="not numbers"):
        array_of(read(np.array(["text"])), PATH)
