# SPDX-License-Identifier: BSD-2-Clause
"""A run is evaluated and resumed with its own vocabularies, labels and parts, wherever it is and whatever became of its
files. Oracle: the scores of the training itself."""

import os
import shutil

import pytest

from spago_jax.cli.main import run as cli
from spago_jax.errors import InputError
from spago_jax.tasks.evaluate import evaluate_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole


def train(config, folder, *overrides, **options):
    return fit(load_experiment(config, overrides), folder, console=TrainingConsole(quiet=True), **options)


@pytest.fixture
def own(corpus, tmp_path, monkeypatch):
    """A copy of the tiny corpus, named by relative paths."""
    for split in ("train", "dev", "test"):
        shutil.copy(corpus / f"{split}.conll", tmp_path)
    text = (corpus / "tiny.yaml").read_text().replace(f"{corpus}/", "")
    (tmp_path / "tiny.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_scored_though_its_training_file_changed_or_is_gone_and_from_any_folder(own, monkeypatch):
    result = train("tiny.yaml", "run", "train.epochs=2")
    lines = (own / "train.conll").read_text().split("\n\n")
    (own / "train.conll").write_text("\n\n".join(lines[10:]))
    assert evaluate_run("run")["test"].values["f1"] == pytest.approx(result.scores["test"].values["f1"])
    (own / "train.conll").unlink()
    os.mkdir("elsewhere")
    monkeypatch.chdir(own / "elsewhere")
    assert evaluate_run("../run")["test"].values == pytest.approx(result.scores["test"].values)


def test_resume_refuses_data_that_changed(own):
    train("tiny.yaml", "run", "train.epochs=1")
    with open(own / "train.conll", "a") as file:
        file.write("Zed\tB-PER\n")
    with pytest.raises(InputError, match=r"train\.conll: data\.train: the file has changed since the run was tr"):
        train("tiny.yaml", "run", "train.epochs=2", resume=True)
    (own / "train.conll").unlink()
    assert cli(["train", "tiny.yaml", "train.epochs=2", "--out", "run", "--resume"]) == 2


def test_drawn_parts_are_those_of_the_training_or_refused(corpus, tmp_path):
    shutil.copy(corpus / "texts.csv", tmp_path)
    config = tmp_path / "moods.yaml"
    config.write_text((corpus / "moods-mean.yaml").read_text().replace(str(corpus), str(tmp_path)))
    result = train(config, tmp_path / "run", "train.epochs=1")
    assert evaluate_run(tmp_path / "run")["dev"].values == pytest.approx(result.scores["dev"].values)
    with open(tmp_path / "texts.csv", "a") as file:
        file.write("sunshine,happy\n")
    with pytest.raises(InputError, match=r"data\.dev: the file has changed since .*dev and test were drawn from it"):
        evaluate_run(tmp_path / "run")


def test_the_log_says_which_scheme_was_found_and_what_is_read_in_windows(own, capsys):
    fit(load_experiment("tiny.yaml", ["train.steps=1", "train.max_length=6"]), "run", console=TrainingConsole())
    said = capsys.readouterr().err
    assert "train: 5 tags in the scheme IOB2, read by the model as BIOES" in said or "tags in the scheme IOB2" in said
    assert "sentences are longer than train.max_length = 6 and are read in windows" in said
