"""Cross-validation: what is trained per fold, and the aggregation of the scores, against NumPy."""

import json
import types

import numpy as np
import pytest
from pydantic import Field

from spago_jax.cli.main import run
from spago_jax.core.section import Section
from spago_jax.errors import InputError
from spago_jax.sweep.cross_validate import Folds, check_folds, cross_validate
from spago_jax.train.task import Scores

F1 = [0.81, 0.78, 0.9, 0.7]


def fake(fold):
    scores = {"dev": Scores({"f1": F1[fold - 1], "loss": 1.0 / fold}), "test": Scores({"f1": 0.5})}
    return types.SimpleNamespace(scores=scores, best_step=10 * fold)


def validated(folder, folds=4, **options):
    asked, trained, said = [], [], []

    def load(overrides):
        asked.append(list(overrides))
        return len(asked)

    def train(experiment, into):
        trained.append((experiment, into.name))
        return fake(experiment)

    done = cross_validate(load, train, "topics", folds, folder, say=said.append, **options)
    return done, asked, trained, said


def test_every_fold_is_a_run_of_its_own(tmp_path):
    done, asked, trained, said = validated(tmp_path / "out")
    assert asked == [[f"data.fold={{index: {i}, of: 4}}", f'name="topics/fold-{i}"'] for i in range(1, 5)]
    assert trained == [(i, f"fold-{i}") for i in range(1, 5)]
    assert said[1] == "[2/4] fold-2: dev f1 0.7800, loss 0.5000; test f1 0.5000"
    assert not (tmp_path / "out" / "lock").exists()


def test_mean_and_deviation_are_those_of_numpy(tmp_path):
    done, *_ = validated(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "folds.json").read_text())
    for values, part, name in ((F1, "dev", "f1"), ([1, 1 / 2, 1 / 3, 1 / 4], "dev", "loss"), ([0.5] * 4, "test", "f1")):
        assert written["scores"][part][name]["mean"] == pytest.approx(np.mean(values), rel=1e-12)
        assert written["scores"][part][name]["deviation"] == pytest.approx(np.std(values, ddof=1), rel=1e-12, abs=1e-15)
    assert [fold["folder"] for fold in written["folds"]] == ["fold-1", "fold-2", "fold-3", "fold-4"]
    assert [fold["best_step"] for fold in written["folds"]] == [10, 20, 30, 40]
    lines = done.table().splitlines()
    assert lines[0].split() == ["fold", "dev", "f1", "dev", "loss", "test", "f1"]
    assert lines[-2].split() == ["mean", f"{np.mean(F1):.4f}", f"{np.mean([1, 1 / 2, 1 / 3, 1 / 4]):.4f}", "0.5000"]


def test_a_score_that_a_fold_lacks_has_no_mean():
    done = Folds(2, {1: {"dev": {"f1": 0.5}}, 2: {"dev": {"f1": None}}}, {1: 1, 2: 1})
    assert done.mean("dev", "f1") is None
    assert done.table().splitlines()[2].split() == ["2", "-"]


def test_a_fold_that_fails_leaves_the_scores_of_those_before(tmp_path):
    def train(experiment, into):
        if experiment == 3:
            raise InputError("bad")
        return fake(experiment)

    count = iter(range(1, 9))
    with pytest.raises(InputError, match="bad"):
        cross_validate(lambda overrides: next(count), train, "topics", 4, tmp_path / "out")
    assert len(json.loads((tmp_path / "out" / "folds.json").read_text())["folds"]) == 2
    with pytest.raises(InputError, match=r"holds folds.json already; go on with --resume"):
        validated(tmp_path / "out")
    assert len(validated(tmp_path / "out", resume=True)[0].scores) == 4


@pytest.mark.parametrize("name", ["config.yaml", "sweep.yaml"])
def test_the_folder_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).write_text("")
    for resume in (False, True):
        with pytest.raises(InputError, match=f"holds {name} already; write elsewhere with --out"):
            validated(tmp_path, resume=resume)


def test_what_cannot_be_cut_into_folds_is_refused():
    class Cut(Section):
        format: str = "cut"
        fold: dict[str, int] | None = Field(default=None)

    class Whole(Section):
        format: str = "whole"

    check_folds(types.SimpleNamespace(data=Cut()), 2)
    with pytest.raises(InputError, match="1 folds: expected 2 or more"):
        check_folds(types.SimpleNamespace(data=Cut()), 1)
    with pytest.raises(InputError, match="data.format = 'whole': data of this format cannot be cut into folds"):
        check_folds(types.SimpleNamespace(data=Whole()), 2)


def test_the_command_refuses_too_few_folds(corpus, tmp_path, capsys):
    assert run(["cross-validate", str(corpus / "moods-mean.yaml"), "--folds", "1", "--out", str(tmp_path / "x")]) == 2
    assert "1 folds: expected 2 or more" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.extended
def test_the_command_trains_every_fold_and_goes_on(corpus, tmp_path, capsys):
    command = ["cross-validate", str(corpus / "moods-mean.yaml"), "--folds", "2", "--out", str(tmp_path / "out")]
    command += ["train.epochs=1", "train.buckets=1"]
    assert run(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["fold", "1", "2", "mean", "deviation", "folder:"]
    written = json.loads((tmp_path / "out" / "folds.json").read_text())
    scores = [fold["scores"]["test"]["accuracy"] for fold in written["folds"]]
    assert written["scores"]["test"]["accuracy"]["mean"] == pytest.approx(np.mean(scores))
    config = (tmp_path / "out" / "fold-2" / "config.yaml").read_text()
    assert "name: moods/fold-2" in config
    assert "index: 2" in config
    assert run(command) == 2
    assert "holds folds.json already; go on with --resume" in capsys.readouterr().err
    assert run([*command, "--resume"]) == 0
    assert json.loads((tmp_path / "out" / "folds.json").read_text()) == written
