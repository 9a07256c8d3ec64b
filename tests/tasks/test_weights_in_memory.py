"""What is opened to answer has its weights in memory once, counted over the arrays that are alive."""

import gc

import jax
import pytest
from subwords import wordpiece_folder
from tiny_pretrained import write_tiny, write_tiny_pair

import spago_jax as sj
from spago_jax.core import flat
from spago_jax.models.encoder import encoder
from spago_jax.models.encoder_decoder import stack

SIZES = {"d_model": 64, "encoder_layers": 4, "decoder_layers": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write_tiny(root / "states", "bert", "states", hidden_size=64, num_hidden_layers=4, intermediate_size=64)
    wordpiece_folder(root / "states")
    return {"states": root / "states", "writes": write_tiny_pair(root / "writes", **SIZES)}


@pytest.fixture(params=["shared", "copied"])
def rows(request, monkeypatch):
    """Layers that lie in the memory of their stack, as on a CPU, and copies of them, as on other devices."""
    if request.param == "copied":
        for module in (encoder, stack):
            monkeypatch.setattr(module, "row_of", lambda whole, row: whole[row].copy())


def alive(before: list[int]) -> int:
    """Bytes of the arrays that are alive and were not before, those that share memory counted once."""
    gc.collect()
    spans = sorted(
        (array.unsafe_buffer_pointer(), array.unsafe_buffer_pointer() + array.nbytes)
        for array in jax.live_arrays()
        if id(array) not in before
    )
    total = end = 0
    for start, stop in spans:
        total, end = total + max(stop - max(start, end), 0), max(stop, end)
    return total


@pytest.mark.parametrize("name", ["text-encoding", "text2text-generation"])
def test_a_task_keeps_its_weights_once(folders, rows, name):
    folder = folders["writes" if name == "text2text-generation" else "states"]
    once = sum(array.nbytes for array in flat(sj.load_pretrained(folder).model).values())
    gc.collect()
    others = jax.live_arrays()
    before = [id(array) for array in others]
    task = sj.load_task(name, folder)
    assert once <= alive(before) < 1.1 * once
    task("a cat")
    assert alive(before) < 1.1 * once
    assert task.pretrained.report.nbytes == once


@pytest.mark.parametrize("name", ["states", "writes"])
def test_a_model_of_separate_layers_is_saved_like_the_other(folders, rows, name, tmp_path):
    pretrained = sj.load_pretrained(folders[name])
    saved = pretrained.separate().save(tmp_path / name)
    for file in ("config.json", "model.safetensors"):
        assert (saved / file).read_bytes() == (pretrained.save(tmp_path / "whole", overwrite=True) / file).read_bytes()


def test_a_generator_of_separate_layers_has_no_weights_of_its_own(folders, rows):
    pretrained = sj.load_pretrained(folders["writes"]).separate()
    assert pretrained.generator.model is not None
    own = {id(array) for array in flat(pretrained.model).values()}
    assert {id(array) for array in flat(pretrained.generator.model).values()} == own


def test_a_generator_shares_the_memory_of_its_model(folders):
    gc.collect()
    others = jax.live_arrays()
    before = [id(array) for array in others]
    pretrained = sj.load_pretrained(folders["writes"])
    assert alive(before) < 1.02 * pretrained.report.nbytes
    pretrained.generate([[5, 6, 7]], max_new_tokens=2)
    assert alive(before) < 1.05 * pretrained.report.nbytes
