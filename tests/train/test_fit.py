import json
import shutil

import numpy as np
import pytest

from spago_jax.core import flat
from spago_jax.errors import CheckpointError, InputError, TrainingError
from spago_jax.tasks.experiment import run_experiment
from spago_jax.tasks.load import open_run
from spago_jax.train import RunFolder, fit, load_experiment
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.console import TrainingConsole

QUIET = TrainingConsole(quiet=True)


def run(config, folder, *overrides, **options):
    return fit(load_experiment(config, overrides), folder, console=TrainingConsole(quiet=True), **options)


def weights(folder):
    with_state = Checkpoints(folder / "checkpoints", read_only=True)
    return with_state.arrays(with_state.latest())


def test_it_learns(trained):
    result, _ = trained
    assert result.scores["test"].values["f1"] > 0.9
    assert result.baselines["test"].values["f1"] > 0.5


def test_the_run_folder_holds_everything(trained):
    _, folder = trained
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.yaml", "metrics.jsonl", "timings.jsonl", "details.json", "scores.json", "about.json",
        "programs.json", "model.json", "assets", "checkpoints", "report.html",
    }  # fmt: skip
    assert run_experiment(RunFolder.open(folder)).name == "tiny"


def test_nothing_compiles_after_warm_up(trained):
    _, folder = trained
    programs = json.loads((folder / "programs.json").read_text())
    assert programs["compilations_after_warm_up"] == 0
    assert [p["traces"] for p in programs["programs"]] == [len(p["signatures"]) for p in programs["programs"]]


def test_at_most_three_checkpoints_are_kept_the_best_among_them(trained):
    result, folder = trained
    checkpoints = Checkpoints(folder / "checkpoints", read_only=True)
    assert result.best_step in checkpoints.steps()
    assert checkpoints.best() == result.best_step
    assert len(checkpoints.steps()) <= 3
    dev = [r for r in RunFolder.open(folder).lines("metrics.jsonl") if r["kind"] == "dev"]
    assert max(dev, key=lambda r: (r["f1"], -r["step"]))["step"] == result.best_step


def test_training_twice_gives_the_same_bits(trained, config, tmp_path):
    _, folder = trained
    run(config, tmp_path / "again")
    assert (tmp_path / "again" / "metrics.jsonl").read_bytes() == (folder / "metrics.jsonl").read_bytes()


def test_many_steps_a_call_equal_one_step_a_call(config, tmp_path):
    # The order of the batches depends on how they are grouped; with one bucket and one block an epoch it does not.
    same = ["train.epochs=1", "train.buckets=1", "model.dropout=0", "model.word_dropout=0"]
    order = ["train.batch_size=60", "train.max_length=16"]  # one batch an epoch: the same in both
    run(config, tmp_path / "one", *same, *order, "train.steps_per_call=1", "train.log_every=1")
    run(config, tmp_path / "many", *same, *order, "train.steps_per_call=4", "train.log_every=1")
    one, many = weights(tmp_path / "one"), weights(tmp_path / "many")
    for path, value in one.items():
        np.testing.assert_allclose(many[path], value, rtol=1e-5, atol=1e-6, err_msg=path)


def test_a_run_can_be_opened_from_its_folder_alone(trained, tmp_path, corpus, monkeypatch):
    _, folder = trained
    shutil.copytree(folder, tmp_path / "moved")
    opened = open_run(tmp_path / "moved")
    assert opened.task.splits() == []
    assert flat(opened.model)["scorer.weight"].shape[1] == 16


def test_it_refuses_to_overwrite(trained, config):
    _, folder = trained
    with pytest.raises(InputError, match="already holds a run; continue it with --resume"):
        run(config, folder)


def test_resume_refuses_another_experiment(trained, config):
    _, folder = trained
    with pytest.raises(InputError, match=r"cannot resume: model.encoder differs from the run's own config"):
        run(config, folder, "model.encoder.hidden=9", resume=True)
    with pytest.raises(InputError, match=r"cannot resume: train.batch_size was 8, now 4"):
        run(config, folder, "train.batch_size=4", resume=True)


def test_more_epochs_go_on_where_the_run_ended(config, tmp_path):
    run(config, tmp_path / "short", "train.epochs=2")
    run(config, tmp_path / "short", "train.epochs=4", resume=True)
    run(config, tmp_path / "long", "train.epochs=4")
    short, long = weights(tmp_path / "short"), weights(tmp_path / "long")
    for path, value in long.items():
        np.testing.assert_array_equal(short[path], value, err_msg=path)


def test_a_loss_that_is_not_finite_ends_training_with_advice(config, tmp_path):
    with pytest.raises(TrainingError, match=r"not finite at step \d+.*lower optimizer.learning_rate") as error:
        run(config, tmp_path / "bad", "optimizer.name=sgd", "optimizer.learning_rate=1e30", "optimizer.clip_norm=null")
    assert "checkpoint" in str(error.value)
    assert (tmp_path / "bad" / "report.html").exists()


def test_an_unknown_metric_is_refused_before_training(config, tmp_path):
    with pytest.raises(InputError, match=r"train.metric = 'precison': did you mean 'precision'\?"):
        run(config, tmp_path / "x", "train.metric=precison")
    assert not (tmp_path / "x").exists()


def test_early_stopping(config, tmp_path):
    result = run(
        config, tmp_path / "x", "train.epochs=30", "train.early_stopping={patience: 2}", "optimizer.learning_rate=0.05"
    )
    dev = [r for r in RunFolder.open(tmp_path / "x").lines("metrics.jsonl") if r["kind"] == "dev"]
    assert len(dev) < 30
    assert [r["step"] for r in dev].index(result.best_step) == len(dev) - 3


def test_plateau_lowers_the_rate(config, tmp_path):
    run(config, tmp_path / "x", "train.epochs=8", "optimizer.plateau={factor: 0.5, patience: 0}", "train.log_every=1")
    rates = {r["learning_rate"] for r in RunFolder.open(tmp_path / "x").lines("metrics.jsonl") if r["kind"] == "train"}
    assert len(rates) > 1


def test_averaged_weights_are_what_is_evaluated_and_opened(config, tmp_path):
    result = run(config, tmp_path / "x", "train.average=0.9")
    opened = open_run(tmp_path / "x")
    stored = weights(tmp_path / "x")
    if result.best_step == result.steps:
        np.testing.assert_array_equal(flat(opened.model)["scorer.weight"], stored["average.scorer.weight"])
    assert not np.array_equal(stored["average.scorer.weight"], stored["model.scorer.weight"])


def test_frozen_groups_do_not_move(config, tmp_path):
    run(config, tmp_path / "x", "train.epochs=1", "optimizer.groups=[{match: embeddings.parts.0, freeze: true}]")
    run(config, tmp_path / "y", "train.epochs=2", "optimizer.groups=[{match: embeddings.parts.0, freeze: true}]")
    x, y = weights(tmp_path / "x"), weights(tmp_path / "y")
    np.testing.assert_array_equal(
        x["model.embeddings.parts.0.table.weight"], y["model.embeddings.parts.0.table.weight"]
    )
    assert not np.array_equal(x["model.scorer.weight"], y["model.scorer.weight"])


def test_a_group_that_matches_nothing(config, tmp_path):
    with pytest.raises(InputError, match=r"optimizer.groups\[0\].match 'encodr' matches no array.*did you mean 'enco"):
        run(config, tmp_path / "x", "optimizer.groups=[{match: encodr, scale: 0.1}]")


@pytest.mark.parametrize("what", ["truncated", "other model", "none"])
def test_checkpoints_that_cannot_be_read(trained, config, tmp_path, what):
    _, folder = trained
    shutil.copytree(folder, tmp_path / "run")
    if what == "truncated":
        for path in (tmp_path / "run" / "checkpoints").rglob("d/*"):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        message = "cannot be read; it may be truncated"
    elif what == "other model":
        text = (tmp_path / "run" / "config.yaml").read_text().replace("hidden: 8", "hidden: 9")
        (tmp_path / "run" / "config.yaml").write_text(text)
        message = r"is of another model: array 'encoder.rnn.layers.0.*' has shape .*, the model expects"
    else:
        shutil.rmtree(tmp_path / "run" / "checkpoints")
        message = "no checkpoints here; is this the folder of a run"
    with pytest.raises(CheckpointError, match=message):
        open_run(tmp_path / "run")


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(InputError, match="is not the folder of a run"):
        open_run(tmp_path)


def test_evaluation_reads_the_config_of_the_run_once(trained, monkeypatch):
    from spago_jax.tasks import evaluate, load

    read, original = [], load.run_experiment
    monkeypatch.setattr(load, "run_experiment", lambda run: read.append(run) or original(run))
    scores = evaluate.evaluate_run(trained[1])
    assert scores["test"].values == trained[0].scores["test"].values
    assert len(read) == 1
