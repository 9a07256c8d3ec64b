"""``load_pretrained``: one function for runs, exported folders and models in Hugging Face's layout."""

import jax
import numpy as np
import pytest
from helpers import refuses
from tiny_pretrained import IDS, MASK, sizes, write_tiny, write_vocabulary

import spago_jax as sj
from spago_jax.core import flat
from spago_jax.errors import CheckpointError, InputError
from spago_jax.interop.huggingface import Pretrained
from spago_jax.tasks.export import export_run
from spago_jax.tasks.load import open_run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny(folder)
    write_vocabulary(folder)
    return folder


one_kind = pytest.mark.parametrize("moods", ["mean"], indirect=True)


@one_kind
def test_a_run_an_export_and_a_model_of_the_hub_have_config_model_and_tokenizer(tiny, moods, tmp_path):
    _, run = moods
    opened = sj.load_pretrained(run)
    assert opened.config.task == "text-classification"
    assert isinstance(opened.model, sj.Module)
    assert opened.tokenizer.tokens("so good") == ["so", "good"]
    folder = export_run(open_run(run), tmp_path / "exported", platforms=("cpu",))
    shipped = sj.load_pretrained(folder)
    assert shipped.config["task"] == "text-classification"
    assert shipped.tokenizer.tokens("so good") == ["so", "good"]
    found = flat(opened.model)
    for path, array in shipped.model.weights.items():
        np.testing.assert_array_equal(array, found[path.removeprefix("model.")])
    theirs = sj.load_pretrained(tiny)
    assert isinstance(theirs, Pretrained)
    assert theirs.config.encoder.architecture == "bert"
    assert theirs.model.logits(IDS, MASK).shape == (*IDS.shape, sizes("bert")["vocab_size"])
    assert theirs.tokenizer.size == sizes("bert")["vocab_size"]


@one_kind
def test_arguments_that_do_not_go_with_the_folder_are_named(tiny, moods, tmp_path):
    _, run = moods
    with refuses(f"{run}: head, dtype: only for a model in Hugging Face's layout"):
        sj.load_pretrained(run, head="states", dtype="bfloat16")
    with refuses(f"{tiny}: step=3: only a run folder has checkpoints to choose from"):
        sj.load_pretrained(tiny, step=3)
    with pytest.raises(CheckpointError, match="no checkpoint of step 12345"):
        sj.load_pretrained(run, step=12345)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(CheckpointError):
        sj.load_pretrained(tmp_path)
    with pytest.raises(InputError, match="no folder 'nobody/nothing'"):
        sj.load_pretrained("nobody/nothing")


def test_an_exported_program_that_is_no_task_is_named(tmp_path):
    sj.export(lambda x: x + 1, tmp_path / "plain", "f32[2]", platforms=("cpu",))
    with pytest.raises(InputError, match="not that of a task"):
        sj.load_pretrained(tmp_path / "plain")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_model_is_opened_in_any_type_by_one_option(tiny, dtype):
    """spaGO's users asked for it: no rebuild, no conversion."""
    with jax.enable_x64(dtype == "float64"):
        found = sj.load_pretrained(tiny, dtype=dtype)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(found.model)} == {dtype}
        assert sj.load_task("fill-mask", tiny, dtype=dtype)("a [MASK]", top_k=1)[0][0].score > 0
