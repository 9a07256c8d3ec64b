"""Files of tensors: every form reads as its own library reads it, and what is damaged is refused in one message."""

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints import find_checkpoint, open_checkpoint

NUMBERS = np.random.default_rng(0)
ARRAYS = {
    "a.weight": NUMBERS.normal(size=(3, 5)).astype(np.float32),
    "a.bias": NUMBERS.normal(size=5),
    "ids": np.arange(6).reshape(1, 6),
    "half": NUMBERS.normal(size=(2, 2, 2)).astype(np.float16),
    "brain": NUMBERS.normal(size=(4,)).astype(ml_dtypes.bfloat16),
    "mask": np.array([True, False]),
    "small": np.array(3, np.int8),
    "none": np.zeros((0, 4), np.float32),
}


def same(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def check(path, arrays, *, order=False):
    """The file gives exactly these arrays, as views and as copies."""
    with open_checkpoint(path) as tensors:
        assert set(tensors.names()) == set(arrays)
        if order:
            assert tensors.names() == tuple(arrays)
        for name, array in arrays.items():
            assert name in tensors
            assert (tensors.shape(name), tensors.dtype(name)) == (array.shape, array.dtype)
            view = tensors.read(name)
            assert not view.flags.writeable
            same(view, array)
            copy = tensors.copy(name)
            same(copy, array)
            assert copy.ctypes.data % 64 == 0 or not copy.size
            assert copy.flags.c_contiguous
    return view


def refused(path, *words):
    with pytest.raises(InputError) as caught:
        open_checkpoint(path).close()
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


# -- safetensors -------------------------------------------------------------------------------------------------------


def header(path, facts, body=b"", length=None):
    text = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def fact(start, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def test_safetensors_of_every_dtype_are_read(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", ARRAYS, {"format": "pt"})
    view = check(tmp_path, ARRAYS)
    same(view, ARRAYS["none"])  # a view outlives the file


def test_safetensors_files_are_those_of_the_package(tmp_path):
    """Byte for byte, and each reads what the other writes."""
    library = pytest.importorskip("safetensors.numpy")
    arrays = {name: array for name, array in ARRAYS.items() if name != "brain"}  # not a dtype of NumPy alone
    write_safetensors(tmp_path / "ours.safetensors", arrays, {"format": "pt"})
    library.save_file(arrays, tmp_path / "theirs.safetensors", {"format": "pt"})
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()
    check(tmp_path / "theirs.safetensors", arrays)
    for name, array in library.load_file(tmp_path / "ours.safetensors").items():
        same(array, arrays[name])


def test_eight_bit_floats_are_read_by_name(tmp_path):
    body = bytes(range(4))
    for code, dtype in (("F8_E4M3", ml_dtypes.float8_e4m3fn), ("F8_E5M2", ml_dtypes.float8_e5m2)):
        path = header(tmp_path / "m.safetensors", {"x": fact(0, 4, (4,), code)}, body)
        check(path, {"x": np.frombuffer(body, dtype)})


def test_a_copy_takes_another_dtype(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", ARRAYS)
    with open_checkpoint(tmp_path) as tensors:
        same(tensors.copy("half", np.dtype(np.float32)), ARRAYS["half"].astype(np.float32))
        brain = tensors.copy("a.weight", np.dtype(ml_dtypes.bfloat16))
        same(brain, ARRAYS["a.weight"].astype(ml_dtypes.bfloat16))


def test_a_large_tensor_is_copied_in_pieces(tmp_path):
    large = NUMBERS.integers(0, 255, (3, 5 << 20)).astype(np.uint8)
    write_safetensors(tmp_path / "model.safetensors", {"large": large, "small": np.ones(3)})
    with open_checkpoint(tmp_path) as tensors:
        same(tensors.copy("large"), large)
        same(tensors.read("large"), large)  # given back is not lost


def test_an_alias_of_the_metadata_is_followed(tmp_path):
    weight = ARRAYS["a.weight"]
    metadata = {"format": "pt", "model.shared.weight": "model.decoder.embed_tokens.weight", "made": "elsewhere"}
    write_safetensors(tmp_path / "model.safetensors", {"model.decoder.embed_tokens.weight": weight}, metadata)
    with open_checkpoint(tmp_path) as tensors:
        assert set(tensors.names()) == {"model.decoder.embed_tokens.weight", "model.shared.weight"}
        same(tensors.read("model.shared.weight"), weight)


def test_an_unknown_name_is_refused(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", ARRAYS)
    with open_checkpoint(tmp_path) as tensors, pytest.raises(InputError, match="did you mean 'a.weight'"):
        tensors.read("a.weights")


@pytest.mark.parametrize(
    ("facts", "body", "words"),
    [
        ({"x": fact(0, 8)}, b"1234", "ends at byte"),
        ({"x": fact(0, 8), "y": fact(4, 12)}, b"0" * 12, "overlap"),
        ({"x": fact(0, 8), "y": fact(0, 8)}, b"0" * 8, "overlap"),
        ({"x": fact(0, 8), "y": fact(12, 20)}, b"0" * 20, "belong to no tensor"),
        ({"x": fact(0, 8)}, b"0" * 9, "after the last tensor"),
        ({"x": fact(0, 8, (3,))}, b"0" * 8, "8 bytes, but F32 [3] needs 12"),
        ({"x": fact(8, 0)}, b"0" * 8, "not a start and an end"),
        ({"x": fact(-8, 0)}, b"0" * 8, "not a start and an end"),
        ({"x": fact(0, 8, (-1, -2))}, b"0" * 8, "shape [-1, -2]"),
        ({"x": fact(0, 8, (True, 2))}, b"0" * 8, "not a list of"),
        ({"x": fact(0, 0, (0,) * 40)}, b"", "at most 32"),
        ({"x": fact(0, 8, dtype="F4")}, b"0" * 8, "dtype 'F4' is not read; known: "),
        ({"x": {"dtype": "F32"}}, b"", "lacks"),
        ({"x": [1]}, b"", "lacks"),
        (b'{"x": 1, "x": 2}', b"", "'x' twice"),
        (b"[1]", b"", "not a JSON object"),
        (b'{"x": ', b"", "damaged"),
        (b'{"\xff": 1}', b"", "damaged"),
        (b'{"a":' * 100_000, b"", "damaged"),
        (b'{"a":' + b"9" * 10_000 + b"}", b"", "damaged"),
    ],
)  # fmt: skip
def test_a_damaged_header_is_refused(tmp_path, facts, body, words):
    refused(header(tmp_path / "m.safetensors", facts, body), words)


def test_a_header_of_an_absurd_size_is_refused(tmp_path):
    refused(header(tmp_path / "m.safetensors", {}, length=2**63), "header should have 9,223,372,036,854,775,808 bytes")
    refused(header(tmp_path / "m.safetensors", {}, length=1), "damaged")


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    write_safetensors(tmp_path / "model.safetensors", ARRAYS)
    whole = (tmp_path / "model.safetensors").read_bytes()
    for size in (1, 7, 8, 9, 100, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:size])
        refused(tmp_path / "cut.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"")
    refused(tmp_path / "cut.safetensors", "empty")


def test_what_only_looks_like_a_model_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    refused(path, "git lfs pull")
    path.write_bytes(b"<!doctype html><html>Not found</html>")
    refused(path, "web page")
    (tmp_path / "notes.txt").write_bytes(b"some text that is not a model at all")
    refused(tmp_path / "notes.txt", "not a file of tensors")
    refused(tmp_path / "nothing.bin", "No such file")


# -- folders and shards ------------------------------------------------------------------------------------------------


def shards(folder, count=3, name="model.safetensors"):
    """Writes the arrays as shards."""
    stem, suffix = name.split(".")
    places = {}
    for number in range(count):
        file = f"{stem}-{number + 1:05}-of-{count:05}.{suffix}"
        part = dict(list(ARRAYS.items())[number::count])
        write_safetensors(folder / file, part)
        places |= dict.fromkeys(part, file)
    index = folder / f"{name}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index, places


def test_shards_read_like_one_file(tmp_path):
    shards(tmp_path)
    check(tmp_path, ARRAYS)


def test_a_missing_shard_is_named(tmp_path):
    index, _ = shards(tmp_path)
    (tmp_path / "model-00002-of-00003.safetensors").rename(tmp_path / "other.safetensors")
    assert "1 of 3 shards are missing: model-00002-of-00003.safetensors" in refused(index)


def test_a_shard_of_an_absurd_name_is_missing(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    for name in ("x" * 5000, "\ud800"):
        index.write_text(json.dumps({"weight_map": {"x": name}}))
        refused(index, "shards are missing")


def test_a_tensor_that_is_not_where_the_index_says_is_named(tmp_path):
    index, places = shards(tmp_path)
    index.write_text(json.dumps({"weight_map": {**places, "a.weight": places["a.bias"]}}))
    refused(index, "'a.weight' should be in model-00002-of-00003.safetensors")


@pytest.mark.parametrize("shard", ["../secret", "/etc/passwd", "..", "", 3, None, "a\0b"])
def test_an_index_reads_no_file_outside_its_folder(tmp_path, shard):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": shard}}))
    refused(index, "not a file beside the index")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": 3}', "[" * 100_000])
def test_a_damaged_index_is_refused(tmp_path, text):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(text)
    refused(index, "index")


def test_safetensors_come_before_pickles(tmp_path):
    for name in ("flax_model.msgpack", "pytorch_model.bin.index.json", "pytorch_model.bin", "model.safetensors"):
        (tmp_path / name).touch()
        assert find_checkpoint(tmp_path) == tmp_path / name


def test_a_folder_of_another_library_is_refused(tmp_path):
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(InputError, match=r"there is tf_model.h5 \(TensorFlow\), which is not read"):
        open_checkpoint(tmp_path)


# -- Flax --------------------------------------------------------------------------------------------------------------

FLAX = {
    "embeddings": {"word_embeddings": {"embedding": ARRAYS["a.weight"]}, "LayerNorm": {"scale": ARRAYS["a.bias"]}},
    "layer": {"0": {"kernel": np.float32(NUMBERS.normal(size=(3, 4))), "bias": ARRAYS["brain"]}},
}
FROM_FLAX = {
    "embeddings.word_embeddings.weight": ARRAYS["a.weight"],
    "embeddings.LayerNorm.weight": ARRAYS["a.bias"],
    "layer.0.weight": FLAX["layer"]["0"]["kernel"].T,
    "layer.0.bias": ARRAYS["brain"],
}


def flax_bytes(tree):
    from flax import serialization

    return serialization.to_bytes(tree)


@pytest.mark.parametrize("wrapped", [False, True])
def test_flax_files_are_read_in_the_names_and_the_layout_of_torch(tmp_path, wrapped):
    (tmp_path / "flax_model.msgpack").write_bytes(flax_bytes({"params": FLAX} if wrapped else FLAX))
    check(tmp_path, FROM_FLAX)


def test_flax_shards_are_read(tmp_path):
    parts = {"one.msgpack": {"embeddings": FLAX["embeddings"]}, "two.msgpack": {"layer": FLAX["layer"]}}
    for name, tree in parts.items():
        (tmp_path / name).write_bytes(flax_bytes(tree))
    places = {
        "embeddings/word_embeddings/embedding": "one.msgpack",
        "embeddings/LayerNorm/scale": "one.msgpack",
        "layer/0/kernel": "two.msgpack",
        "layer/0/bias": "two.msgpack",
    }
    (tmp_path / "flax_model.msgpack.index.json").write_text(json.dumps({"weight_map": places}))
    check(tmp_path, FROM_FLAX)


def test_an_array_that_flax_has_split_is_read(tmp_path, monkeypatch):
    from flax import serialization

    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 16)
    (tmp_path / "flax_model.msgpack").write_bytes(flax_bytes({"embedding": ARRAYS["a.weight"]}))
    check(tmp_path, {"weight": ARRAYS["a.weight"]})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x81\xa1a", "truncated"),
        (b"\xdf\xff\xff\xff\xff\xa1a", "truncated"),
        (b"\xdd\xff\xff\xff\xff", "truncated"),
        (b"\x91" * 10_000, "nested"),
        (b"\x81\xa1a\x07", "not an array"),
        (b"\x82\xa1a\x07\xa1a\x07", "twice"),
        (b"\x81\x01\x07", "not text"),
        (b"\x80", "no arrays"),
        (b"\x07", "map"),
        (b"\xc1", "does not begin a value"),
        (b"\x81\xa1a\xc7\x07\x01\x93\x91\x7f\xa4int", "truncated"),
        (flax_bytes(FLAX) + b"\0", "follow the tree"),
    ],
)
def test_a_damaged_flax_file_is_refused(tmp_path, data, words):
    (tmp_path / "flax_model.msgpack").write_bytes(data)
    refused(tmp_path / "flax_model.msgpack", words)


# -- the readers run and import nothing --------------------------------------------------------------------------------


def test_the_readers_import_no_torch_and_no_pickle_machine():
    code = """
import sys
import spago_jax.interop.checkpoints
print({"torch", "transformers", "safetensors", "msgpack"} & set(sys.modules))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert found.stdout.strip() == "set()" or "msgpack" in found.stdout  # flax imports msgpack
    for path in (Path(__file__).parents[2] / "spago_jax/interop").rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) pickle\b", text, re.MULTILINE)
        assert "Unpickler" not in text
