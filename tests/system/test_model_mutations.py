"""2,000 damaged models in every container: each is loaded, or refused by one of the library's own errors.

Nothing in them is run, nothing is written beside them, and no small file takes much memory. A failing case prints its
seed and its file.
"""

import json
import random
import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from mutations import Holds, changed, damaged
from tiny_pretrained import write_tiny, write_vocabulary

from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.errors import InputError
from spago_jax.interop.checkpoints import open_checkpoint
from spago_jax.interop.huggingface import load_pretrained
from spago_jax.interop.huggingface.layout import missing_files

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::spago_jax.errors.InputWarning")]
FORMS = ("safetensors", "shards", "zip", "legacy", "pickles", "msgpack")
PER_FORM = 270
MEMORY = 600e6  # bytes that the damaged files, of some kilobytes each, may add together


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Path]:
    """A tiny model with a tokenizer and a pipeline, by container."""
    base = tmp_path_factory.mktemp("whole")
    folder = base / "safetensors"
    tensors = write_tiny(folder, head="pooler")
    write_vocabulary(folder)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 20}')
    parts = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"), ("Normalize", "3_Normalize")]
    (folder / "modules.json").write_text(json.dumps([{"type": f"x.{kind}", "path": path} for kind, path in parts]))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16, "do_lower_case": false}')
    (folder / "config_sentence_transformers.json").write_text(
        '{"prompts": {"query": "q: "}, "similarity_fn_name": "dot"}'
    )
    (folder / "generation_config.json").write_text('{"num_beams": 4}')
    for name in ("1_Pooling", "2_Dense"):
        (folder / name).mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}')
    (folder / "2_Dense/config.json").write_text('{"activation_function": "torch.nn.modules.activation.Tanh"}')
    dense = {"linear.weight": np.ones((4, 8), np.float32), "linear.bias": np.zeros(4, np.float32)}
    write_safetensors(folder / "2_Dense/model.safetensors", dense)
    forms = {"safetensors": folder}
    for form in FORMS[1:]:
        forms[form] = base / form
        shutil.copytree(folder, forms[form])
        (forms[form] / "model.safetensors").unlink()
        _write(forms[form], form, tensors)
    return forms


def _write(folder: Path, form: str, tensors: dict[str, np.ndarray]) -> None:
    if form == "msgpack":
        from flax import serialization

        tree: dict = {}
        for name, array in tensors.items():
            node = tree
            for part in name.split(".")[:-1]:
                node = node.setdefault(part, {})
            matrix = name.endswith(".weight") and array.ndim == 2 and "embeddings" not in name
            node["kernel" if matrix else name.rpartition(".")[2]] = np.ascontiguousarray(array.T if matrix else array)
        (folder / "flax_model.msgpack").write_bytes(serialization.to_bytes(tree))
        return
    if form == "shards":
        stem, suffix, save = "model", "safetensors", write_safetensors
    else:
        torch = pytest.importorskip("torch", reason="needs torch")
        stem, suffix = "pytorch_model", "bin"

        def save(path, part):
            state = {name: torch.from_numpy(np.array(array)) for name, array in part.items()}
            torch.save(state, path, _use_new_zipfile_serialization=form != "legacy")

    if form in ("zip", "legacy"):
        save(folder / f"{stem}.{suffix}", tensors)
        return
    names, places = list(tensors), {}
    for number in range(3):
        part = {name: tensors[name] for name in names[number::3]}
        save(folder / f"{stem}-{number}.{suffix}", part)
        places |= dict.fromkeys(part, f"{stem}-{number}.{suffix}")
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def _open(folder: Path) -> None:
    found = load_pretrained(folder)
    if found.has_tokenizer:
        _ = found.tokenizer


@pytest.mark.oracle
@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_model_is_loaded_or_refused(whole, form, tmp_path):
    source = whole[form]
    _open(source)
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    weights = [name for name in names if Path(name).suffix in (".safetensors", ".bin", ".msgpack") and "/" not in name]
    holds, before = Holds(), set(sys.modules)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for seed in range(PER_FORM):
        draw = random.Random(f"{form} {seed}")
        folder = tmp_path / str(seed)
        shutil.copytree(source, folder)
        name = draw.choice(weights if draw.random() < 0.6 else names)
        data = (source / name).read_bytes()
        kind = draw.choice(("bytes", "bytes", "head", "settings", "away", "renamed"))
        if kind == "head":  # where the tables of the formats are
            cut = draw.choice((16, 100, 600))
            data = (
                damaged(data[:cut], draw) + data[cut:]
                if draw.random() < 0.6
                else data[:-cut] + damaged(data[-cut:], draw)
            )
            (folder / name).write_bytes(data)
        elif kind == "settings" and name.endswith(".json") and isinstance(tree := json.loads(data), dict):
            data = json.dumps(changed(tree, draw)).encode()
            (folder / name).write_bytes(data)
        elif kind == "away":
            (folder / name).unlink()
        elif kind == "renamed":
            other = draw.choice(names)
            shutil.copyfile(source / other, folder / name)
        else:
            data = damaged(data, draw)
            (folder / name).write_bytes(data)
        there = sorted(folder.rglob("*"))
        holds.check(f"{form} {seed} {kind} {name}", data[:3000], _open, folder)
        assert sorted(folder.rglob("*")) == there, "something was written"
        shutil.rmtree(folder)
    holds.done(least=PER_FORM // 3)
    assert not {"antigravity", "this"} & (set(sys.modules) - before)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - peak < MEMORY


@pytest.mark.oracle
def test_damaged_tables_of_tensors_are_read_or_refused(whole, tmp_path):
    """The readers by themselves, which is quicker: bytes of the tables only."""
    holds = Holds()
    files = {
        "safetensors": "model.safetensors", "zip": "pytorch_model.bin", "legacy": "pytorch_model.bin",
        "msgpack": "flax_model.msgpack", "shards": "model.safetensors.index.json",
    }  # fmt: skip
    for seed in range(2000):
        draw = random.Random(f"table {seed}")
        form = draw.choice(list(files))
        data = bytearray((whole[form] / files[form]).read_bytes())
        if draw.random() < 0.7:
            for _ in range(draw.choice((1, 2, 5, 30))):
                at = draw.randrange(len(data)) if draw.random() < 0.5 else -draw.randrange(1, min(len(data), 3000))
                data[at] = draw.randrange(256)
        else:
            data = damaged(bytes(data), draw)
        path = whole[form] / f"damaged-{files[form]}"
        path.write_bytes(data)

        def read(path):
            with open_checkpoint(path) as tensors:
                for name in tensors.names():
                    assert tensors.copy(name).shape == tensors.shape(name)

        holds.check(f"table {seed} {form}", bytes(data[:3000]), read, path)
        path.unlink()
    holds.done(least=300)


def test_damaged_settings_are_taken_or_refused(whole, tmp_path):
    """The JSON files of a model, whose values are exchanged."""
    folder = tmp_path / "model"
    shutil.copytree(whole["safetensors"], folder)
    files = [path for path in folder.rglob("*.json") if isinstance(json.loads(path.read_text()), dict)]
    holds = Holds()
    for seed in range(600):
        draw = random.Random(f"settings {seed}")
        path = draw.choice([*files, folder / "config.json", folder / "config.json"])
        text = path.read_text()
        path.write_text(json.dumps(changed(json.loads(text), draw)))
        holds.check(f"settings {seed} {path.name}", path.read_text()[:3000], _open, folder)
        path.write_text(text)
    holds.done(least=200)


def test_a_folder_without_anything_is_refused(tmp_path):
    assert missing_files(tmp_path) == ["config.json", "model.safetensors"]
    with pytest.raises(InputError, match="lacks config.json, model.safetensors"):
        load_pretrained(tmp_path)
