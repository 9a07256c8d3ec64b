# SPDX-License-Identifier: BSD-2-Clause
"""Further training on new data with new words and labels. Oracle: the stored arrays themselves."""

import json

import numpy as np
import pytest
from tiny_runs import stored

from spago_jax.tasks.evaluate import evaluate_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole


def train(config, folder, *overrides):
    return fit(load_experiment(config, overrides), folder, console=TrainingConsole(quiet=True))


@pytest.fixture
def more(corpus, tmp_path):
    """The tiny corpus, in which cities have become towns and Bob is Zed: a new label and a new word."""
    text = (corpus / "train.conll").read_text().replace("-LOC", "-TOWN").replace("Bob", "Zed")
    (tmp_path / "more.conll").write_text(text)
    return tmp_path / "more.conll"


def test_a_tagger_learns_a_new_label_and_new_words_beside_the_old_ones(trained, config, more, tmp_path):
    result, folder = trained
    settings = [
        f"data.train={more}",
        "data.dev=null",
        "data.test=null",
        "train.epochs=1",
        "optimizer.learning_rate=1e-12",
    ]
    train(config, tmp_path / "run", f"init.from={folder}", *settings)
    before, after = stored(folder, result.best_step), stored(tmp_path / "run")
    names = json.loads((folder / "assets" / "tags.json").read_text())["names"]
    found = json.loads((tmp_path / "run" / "assets" / "tags.json").read_text())["names"]
    assert found[: len(names)] == names
    assert {name for name in found[len(names) :]} == {"B-TOWN", "I-TOWN", "E-TOWN", "S-TOWN"}
    for path in ("scorer.weight", "scorer.bias", "crf.transitions", "embeddings.parts.0.table.weight"):
        old, new = before[f"model.{path}"], after[f"model.{path}"]
        assert new.shape[0] > old.shape[0], path
        np.testing.assert_allclose(new[tuple(map(slice, old.shape))], old, atol=1e-9, err_msg=path)
    words = json.loads((tmp_path / "run" / "assets" / "words.json").read_text())["terms"]
    assert words[-1] == "Zed"
    # What it knew before it still knows: the new labels have not been trained yet.
    f1 = evaluate_run(tmp_path / "run", data=str(config.parent / "test.conll"))["data"].values["f1"]
    assert f1 > 0.5 * result.scores["test"].values["f1"]


def test_labels_of_other_names_do_not_take_the_weights_of_old_ones(mood, tmp_path):
    result, folder = mood
    (tmp_path / "a.csv").write_text("text,label\n" + "it was a boring day,dull\nit was sunshine,happy\n" * 8)
    config = folder / "config.yaml"
    settings = [
        f"data.train={tmp_path / 'a.csv'}",
        "data.dev_fraction=0",
        "train.steps=1",
        "optimizer.learning_rate=1e-12",
    ]
    train(config, tmp_path / "run", f"init.from={folder}", *settings)
    before, after = stored(folder, result.best_step), stored(tmp_path / "run")
    classes = json.loads((tmp_path / "run" / "assets" / "processor.json").read_text())["classes"]
    assert classes == ["happy", "sad", "dull"]
    np.testing.assert_allclose(after["model.output.weight"][:2], before["model.output.weight"], atol=1e-9)


def test_extend_false_keeps_the_vocabulary_and_takes_the_labels_of_the_new_data(trained, config, more, tmp_path):
    settings = [f"data.train={more}", "data.dev=null", "data.test=null", "train.steps=1", "init.extend=false"]
    train(config, tmp_path / "run", f"init.from={trained[1]}", *settings, "init.allow_missing=[scorer.*, 'crf.*']")
    found = json.loads((tmp_path / "run" / "assets" / "tags.json").read_text())["names"]
    assert not any(name.endswith("-LOC") for name in found)
    assert (tmp_path / "run/assets/words.json").read_bytes() == (trained[1] / "assets/words.json").read_bytes()
