"""PyTorch's files: both containers give what torch.load gives, and a hostile file is refused before anything runs."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hostile_files import MARK, Call, nothing_runs  # noqa: F401

from spago_jax.errors import InputError
from spago_jax.interop.checkpoints import open_checkpoint
from spago_jax.interop.checkpoints.inert_pickle import read_pickle

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        open_checkpoint(path).close()
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message, message


# -- files that torch writes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="needs torch")


@pytest.fixture(scope="module")
def state(torch):
    """Tensors of every dtype and layout: shared, transposed, cut out, expanded, empty, of no axis."""
    draw = torch.Generator().manual_seed(0)
    base = torch.randn(4, 6, generator=draw)
    return OrderedDict(
        {
            "weight": base,
            "tied": base,
            "transposed": base.T,
            "column": base[:, 2],
            "block": base[1:3, 1:4],
            "parameter": torch.nn.Parameter(torch.randn(3, generator=draw)),
            "double": torch.randn(2, dtype=torch.float64, generator=draw),
            "half": torch.randn(3, generator=draw).half(),
            "brain": torch.randn(3, generator=draw).bfloat16(),
            "long": torch.arange(4).expand(1, -1),
            "int": torch.arange(3, dtype=torch.int32),
            "short": torch.arange(3, dtype=torch.int16),
            "char": torch.arange(3, dtype=torch.int8),
            "byte": torch.arange(3, dtype=torch.uint8),
            "bool": torch.tensor([True, False]),
            "empty": torch.zeros(0, 3),
            "number": torch.tensor(2.5),
        }
    )


def numbers(tensor, torch):
    return tensor.detach().float().numpy() if tensor.dtype == torch.bfloat16 else tensor.detach().numpy()


@pytest.mark.oracle
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("wrap", [dict, lambda state: {"epoch": 3, "state_dict": state}], ids=["plain", "wrapped"])
def test_both_containers_give_what_torch_gives(torch, state, tmp_path, zipped, wrap):
    path = tmp_path / "pytorch_model.bin"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=zipped)
    with open_checkpoint(tmp_path) as tensors:
        assert tensors.names() == tuple(state)
        for name, tensor in state.items():
            expected = numbers(tensor, torch)
            for found in (tensors.read(name), tensors.copy(name)):
                assert found.shape == tuple(tensor.shape)
                np.testing.assert_array_equal(found.astype(expected.dtype), expected, err_msg=name)
        assert tensors.dtype("brain").name == "bfloat16"
        assert np.shares_memory(tensors.read("weight"), tensors.read("tied"))
        assert np.shares_memory(tensors.read("weight"), tensors.read("block"))


@pytest.mark.oracle
def test_shards_of_pickles_read_like_one(torch, state, tmp_path):
    names, places = list(state), {}
    for number in range(3):
        part = {name: state[name] for name in names[number::3]}
        file = f"pytorch_model-{number + 1:05}-of-00003.bin"
        torch.save(part, tmp_path / file, _use_new_zipfile_serialization=number != 1)
        places |= dict.fromkeys(part, file)
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    with open_checkpoint(tmp_path) as tensors:
        for name, tensor in state.items():
            np.testing.assert_array_equal(np.float32(tensors.read(name)), np.float32(numbers(tensor, torch)))


@pytest.mark.oracle
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_truncated_file_is_refused_wherever_it_ends(torch, state, tmp_path, zipped):
    path = tmp_path / "pytorch_model.bin"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for size in [*range(1, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        refused(path)


@pytest.mark.oracle
def test_a_whole_module_is_refused_by_the_name_of_its_class(torch, tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "pytorch_model.bin")
    refused(tmp_path / "pytorch_model.bin", "torch.nn.modules.linear.Linear", "convert it to safetensors")


# -- files made by hand ------------------------------------------------------------------------------------------------


def named(name, module="torch", arguments=()):
    """The instructions that call a name."""
    return b"c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR"


def storage(key="0", count=4, kind="FloatStorage"):
    text = b"(X\x07\x00\x00\x00storage" + b"ctorch\n" + kind.encode() + b"\nX" + struct.pack("<I", len(key))
    return text + key.encode() + b"X\x03\x00\x00\x00cpuJ" + struct.pack("<i", count) + b"tQ"


def tensor(offset=0, size=(4,), strides=(1,), held=None):
    def integers(values):
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"

    place = b"\x8a\x08" + struct.pack("<q", offset)
    rest = integers(size) + integers(strides) + b"\x89" + b"N"
    return named("_rebuild_tensor_v2", "torch._utils", (held or storage(), place, rest))


def archive(path, value, members=(("data/0", bytes(range(16))),), **options):
    """Writes a zip archive with ``data.pkl``: instructions, or a value that the standard library pickles."""
    code = value if isinstance(value, bytes) else pickle.dumps(value, 2)
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr("archive/data.pkl", code)
        for name, content in members:
            file.writestr(f"archive/{name}", content)
    return path


def model(**tensors):
    """A pickle of a dict of tensors."""
    return (
        b"\x80\x02}(" + b"".join(b"X" + struct.pack("<I", len(k)) + k.encode() + v for k, v in tensors.items()) + b"u."
    )


def test_an_archive_made_by_hand_is_read(tmp_path):
    path = archive(tmp_path / "m.bin", model(a=tensor(), b=tensor(1, (3,), (1,)), c=tensor(0, (2, 2), (1, 2))))
    with open_checkpoint(path) as tensors:
        whole = np.frombuffer(bytes(range(16)), "<f4")
        np.testing.assert_array_equal(tensors.read("b"), whole[1:])
        np.testing.assert_array_equal(tensors.read("c"), whole.reshape(2, 2).T)


@pytest.mark.parametrize(
    ("offset", "size", "strides"),
    [
        (1, (4,), (1,)),
        (0, (5,), (1,)),
        (0, (2,), (4,)),
        (0, (2, 2), (2, 3)),
        (0, (100_000, 100_000), (0, 0)),  # would be 40 GB from 16 bytes
        (0, (2**62, 2**62), (0, 0)),
        (-1, (2,), (1,)),
        (2, (2,), (-1,)),
        (0, (-1,), (1,)),
        (0, (4,), (1, 1)),
        (0, (1,) * 40, (1,) * 40),
        (2**62, (1,), (1,)),
    ],
)
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path, offset, size, strides):
    refused(archive(tmp_path / "m.bin", model(a=tensor(offset, size, strides))), "damaged")


def test_a_storage_that_is_absent_or_too_short_is_refused(tmp_path):
    refused(archive(tmp_path / "m.bin", model(a=tensor(held=storage("7")))), "lacks 'archive/data/7'")
    refused(archive(tmp_path / "m.bin", model(a=tensor(held=storage(count=5)))), "does not fit its storage")
    refused(archive(tmp_path / "m.bin", model(a=tensor(held=storage("../data.pkl")))), "lacks")
    refused(archive(tmp_path / "m.bin", model(a=tensor(held=storage(kind="QInt8Storage")))), "torch.QInt8Storage")


HOSTILE = {
    "os.system": Call(os.system, f"touch {MARK}"),
    "eval": Call(eval, f"open({str(MARK)!r}, 'w')"),
    "exec": Call(exec, f"open({str(MARK)!r}, 'w')"),
    "open": Call(open, str(MARK), "w"),
    "import": Call(__import__, "antigravity"),
    "nested": {"a": [Call(getattr, Call(__import__, "os"), "system")]},
    "class": Call(type, "X", (), {}),
    "path": MARK,
    "bytearray": bytearray(b"x"),
    "set": {1, 2},
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_by_the_name_it_asks_for(tmp_path, kind, protocol):
    code = pickle.dumps({"weight": HOSTILE[kind]}, protocol)
    refused(archive(tmp_path / "m.bin", code), "refused, for it asks for", "nothing in it is run")
    legacy = b"".join(pickle.dumps(value, 2) for value in (MAGIC, PROTOCOL, {"little_endian": True})) + code
    (tmp_path / "legacy.bin").write_bytes(legacy)
    refused(tmp_path / "legacy.bin", "refused, for it asks for")


def test_a_hostile_pickle_in_front_of_a_legacy_file_is_refused(tmp_path):
    (tmp_path / "m.bin").write_bytes(pickle.dumps(HOSTILE["os.system"], 2))
    refused(tmp_path / "m.bin", "system")


@pytest.mark.parametrize(
    "code",
    [
        named("system", "os", (b"X\x04\x00\x00\x00true",)),
        named("OrderedDict", "collections", (b"]", b"N")),  # a known name with other arguments
        named("OrderedDict", "collections", (b"](]Nae",)),
        named("OrderedDict", "collections", (b"](](](eNeee",)),
        named("_rebuild_tensor_v2", "torch._utils"),
        named("FloatStorage", "torch"),
        b"(X\x02\x00\x00\x00osX\x06\x00\x00\x00systemios\nsystem\n",  # INST
        b"cos\nsystem\n)\x81",  # NEWOBJ
        b"c__builtin__\neval\n",
        b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n",
        b"\x82\x01",  # an extension's code
        b"P1\n",
        tensor() + b"}b",  # a state of its own
        b"]}b",
    ],
)
def test_every_other_instruction_is_refused(tmp_path, code):
    refused(archive(tmp_path / "m.bin", b"\x80\x02}X\x01\x00\x00\x00a" + code + b"s."), "m.bin")


BOMBS = {
    "lists of lists": b"\x80\x02]q\x00"
    + b"".join(b"](" + b"h%c" % n * 9 + b"eq%c" % (n + 1) for n in range(40))
    + b".",
    "a memo of four billion": b"\x80\x02}r\xff\xff\xff\xff.",
    "deep tuples as a key": b"\x80\x02})" + b"\x85" * 500_000 + b"Ns.",
    "deep lists": b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".",
    "a long text": b"\x80\x02X\xff\xff\xff\xffx.",
    "a long number": b"\x80\x02\x8b\xff\xff\xff\x7fx.",
    "a long number of digits": b"I" + b"9" * 100_000 + b"\n.",
    "a frame": b"\x80\x04\x95" + b"\xff" * 8 + b"}.",
    "no end": b"\x80\x02" + b"N" * 100_000,
    "nothing": b"",
    "empty stack": b"\x80\x02.",
    "no memo": b"\x80\x02h\x05.",
    "no mark": b"\x80\x02t.",
    "a key without a dict": b"\x80\x02NNNs.",
    "an unknown instruction": b"\x80\x02\xff.",
    "a negative size": b"\x80\x02T\xff\xff\xff\xff.",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_at_once(tmp_path, kind):
    refused(archive(tmp_path / "m.bin", BOMBS[kind]))


def test_a_pickle_that_is_too_long_is_refused(tmp_path):
    refused(archive(tmp_path / "m.bin", b"\x80\x02" + b"N" * (17 << 20)), "at most 16,777,216 are read")


def test_compressed_and_doubled_members_are_refused(tmp_path):
    zeros = (("data/0", bytes(1 << 20)),)
    path = archive(tmp_path / "m.bin", model(a=tensor()), zeros, compression=zipfile.ZIP_DEFLATED)
    refused(path, "compressed")
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(path, model(a=tensor()), (("data/0", bytes(16)), ("data/0", bytes(16))))
    refused(path, "twice")


def test_a_member_that_claims_more_than_the_file_is_refused(tmp_path):
    path = archive(tmp_path / "m.bin", model(a=tensor()))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the entry of data/0 in the directory
    data[at + 20 : at + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    path.write_bytes(data)
    refused(path, "ends beyond the file")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([], "0 members are called data.pkl"),
        (["a/data.pkl", "b/data.pkl"], "2 members"),
    ],
)
def test_an_archive_of_another_kind_is_refused(tmp_path, members, words):
    with zipfile.ZipFile(tmp_path / "m.bin", "w") as file:
        file.writestr("readme.txt", "x")
        for name in members:
            file.writestr(name, b"\x80\x02}.")
    refused(tmp_path / "m.bin", words)


def test_files_of_big_endian_machines_are_refused(tmp_path):
    refused(archive(tmp_path / "m.bin", model(a=tensor()), (("byteorder", b"big"),)), "big-endian")
    values = [MAGIC, PROTOCOL, {"little_endian": False}, {}, []]
    (tmp_path / "m.bin").write_bytes(b"".join(pickle.dumps(value, 2) for value in values))
    refused(tmp_path / "m.bin", "big-endian")


@pytest.mark.parametrize("value", [3, [1], {}, {"a": 1}, {"state_dict": {}}, {1: 2}, "text", None])
def test_a_pickle_without_named_tensors_is_refused(tmp_path, value):
    refused(archive(tmp_path / "m.bin", value), "holds")


def test_plain_values_are_read_as_the_standard_library_reads_them():
    """Every protocol, and the ways in which Python 2 wrote text."""
    value = {"a": [1, -2, 2**40, 2.5, True, False, None], "b": (1,), "c": (1, 2), "d": (1, 2, 3), "e": tuple(range(9)),
             "f": {}, "g": [], "h": (), 5: "é", "x" * 300: b"bytes", "i": 300, "j": 70_000, "k": [[1]]}  # fmt: skip
    for protocol in (2, 3, 4, 5):
        if protocol < 3:
            plain = {key: each for key, each in value.items() if each != b"bytes"}  # calls _codecs.encode there
        else:
            plain = value
        data = pickle.dumps(plain, protocol)
        assert read_pickle(data + b"more", Path("m")) == (plain, len(data))
    assert read_pickle(b"(dp0\nS'a'\np1\nI3\nsS'b'\n(lp2\nF2.5\nas.", Path("m"))[0] == {"a": 3, "b": [2.5]}
    pairs = b"](](X\x01\x00\x00\x00aK\x01e](X\x01\x00\x00\x00bK\x02ee"
    python2 = b"\x80\x02" + named("OrderedDict", "collections", (pairs,)) + b"."
    assert read_pickle(python2, Path("m"))[0] == {"a": 1, "b": 2}
    shared = io.BytesIO()
    pickle.Pickler(shared, 2).dump([(twice := ["x"]), twice])
    found = read_pickle(shared.getvalue(), Path("m"))[0]
    assert found[0] is found[1]
