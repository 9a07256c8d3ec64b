"""``init:``: training that starts from the weights of another run. Oracle: the stored arrays themselves."""

import json

import numpy as np
import pytest
import yaml
from tiny_runs import same_bits, stored

from spago_jax.cli.main import run
from spago_jax.errors import InputError
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

HEAD = "init.allow_missing=[scorer.*, 'crf.*']"


def train(config, folder, *overrides, **options):
    return fit(load_experiment(config, overrides), folder, console=TrainingConsole(quiet=True), **options)


@pytest.fixture
def new_labels(corpus, tmp_path):
    """The tiny corpus with labels of other names, and one more."""
    tree = yaml.safe_load((corpus / "tiny.yaml").read_text())
    for split in ("train", "dev", "test"):
        text = (corpus / f"{split}.conll").read_text()
        text = text.replace("-PER", "-human").replace("-LOC", "-place").replace("visits\tO", "visits\tB-verb")
        (tmp_path / f"{split}.conll").write_text(text)
        tree["data"][split] = str(tmp_path / f"{split}.conll")
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(tree))
    return tmp_path / "new.yaml"


def test_the_same_task_goes_on_from_the_best_weights(trained, config, tmp_path):
    result, folder = trained
    train(config, tmp_path / "more", f"init.from={folder}", "train.steps=1", "optimizer.learning_rate=1e-12")
    before, after = stored(folder, result.best_step), stored(tmp_path / "more")
    for path, array in before.items():
        if path.startswith("model."):
            np.testing.assert_allclose(after[path], array, atol=1e-9, err_msg=path)
    scores = json.loads((tmp_path / "more" / "scores.json").read_text())["scores"]
    assert scores["test"]["f1"] == pytest.approx(result.scores["test"].values["f1"])


def test_new_labels_on_a_trained_encoder(trained, new_labels, tmp_path):
    result, folder = trained
    train(new_labels, tmp_path / "run", f"init.from={folder}", HEAD, "train.epochs=1", "init.freeze=[embeddings]")
    before, after = stored(folder, result.best_step), stored(tmp_path / "run")
    for path in before:
        if path.startswith("model.embeddings."):
            np.testing.assert_array_equal(after[path], before[path], err_msg=path)
    assert not np.array_equal(
        after["model.encoder.rnn.layers.0.forward.bias"], before["model.encoder.rnn.layers.0.forward.bias"]
    )
    assert after["model.scorer.weight"].shape[0] > before["model.scorer.weight"].shape[0]
    assert (tmp_path / "run" / "assets" / "words.json").read_bytes() == (folder / "assets" / "words.json").read_bytes()
    found = json.loads((tmp_path / "run" / "assets" / "tags.json").read_text())["names"]
    assert "S-verb" in found
    assert "S-PER" not in found


def test_arrays_that_do_not_fit_are_listed_with_the_way_out(trained, new_labels, tmp_path):
    with pytest.raises(InputError) as error:
        train(new_labels, tmp_path / "run", f"init.from={trained[1]}", "init.extend=false")
    message = str(error.value)
    assert "init.from = " in message
    assert "  scorer.weight: [13, 16], [9, 16] there\n" in message
    assert "Let them start fresh with init.allow_missing: [crf.*, scorer.*]" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("init.allow_missing=[scorrer.*]", r"init.allow_missing 'scorrer.\*' matches no array.*did you mean"),
        ("init.freeze=[encodr]", r"init.freeze 'encodr' matches no array.*did you mean"),
        ("init.from=/nowhere", "/nowhere: there is no such folder"),
    ],
)
def test_what_is_refused(trained, config, tmp_path, setting, message):
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run", f"init.from={trained[1]}", setting)
    assert not (tmp_path / "run").exists()


def test_an_exported_folder_is_a_start_too(trained, config, tmp_path):
    result, folder = trained
    assert run(["export", str(folder), str(tmp_path / "out"), "--platforms", "cpu"]) == 0
    settings = ["train.steps=2", "train.log_every=1"]
    train(config, tmp_path / "a", f"init.from={folder}", *settings)
    train(config, tmp_path / "b", f"init.from={tmp_path / 'out'}", *settings)
    same_bits(tmp_path / "a", tmp_path / "b")


def test_a_resumed_run_needs_its_start_no_more(trained, new_labels, tmp_path):
    import shutil

    shutil.copytree(trained[1], tmp_path / "start")
    settings = [f"init.from={tmp_path / 'start'}", HEAD]
    train(new_labels, tmp_path / "whole", *settings, "train.epochs=2")
    train(new_labels, tmp_path / "parts", *settings, "train.epochs=1")
    shutil.rmtree(tmp_path / "start")
    train(new_labels, tmp_path / "parts", *settings, "train.epochs=2", resume=True)
    whole, parts = stored(tmp_path / "whole"), stored(tmp_path / "parts")
    for path, array in whole.items():
        assert parts[path].tobytes() == array.tobytes(), path
