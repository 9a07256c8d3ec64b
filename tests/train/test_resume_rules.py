"""What a run may be resumed with, and what it says where there is nothing to do."""

import io
import json
import shutil
from contextlib import closing

import numpy as np
import pytest
from tiny_runs import stored

from spago_jax.errors import CheckpointError, InputError
from spago_jax.tasks.load import open_run
from spago_jax.train import RunFolder, fit, load_experiment
from spago_jax.train.checkpoint import Checkpoints
from spago_jax.train.console import TrainingConsole
from spago_jax.train.history import History
from spago_jax.train.task import Score

SHORT = ["train.epochs=2"]


def run(config, folder, *overrides, **options):
    said = io.StringIO()
    result = fit(load_experiment(config, overrides), folder, console=TrainingConsole(said), **options)
    return result, said.getvalue()


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    return tmp_path / "run"


def test_resume_refuses_another_metric(copied, config):
    before = sorted((path, path.read_bytes()) for path in copied.rglob("*") if path.is_file())
    with pytest.raises(InputError, match=r"cannot resume: train.metric was 'f1', now 'loss'.*train.metric=f1"):
        run(config, copied, "train.metric=loss", "train.epochs=6", resume=True)
    assert before == sorted((path, path.read_bytes()) for path in copied.rglob("*") if path.is_file())
    run(config, copied, "train.metric=f1", resume=True)  # the same one by its name


def test_a_checkpoint_says_what_its_score_measures(copied):
    with closing(Checkpoints(copied / "checkpoints", read_only=True, metric=Score("f1"))) as checkpoints:
        history = checkpoints.about(checkpoints.latest())["history"]
        assert checkpoints._score({"f1": 0.5, "order": 3}) == 0.5
        assert checkpoints._score({"loss": 0.1, "order": 3}) is None  # the score of another metric is no score
        assert checkpoints._score({"score": 0.5, "order": 3}) == 0.5  # as versions up to 0.1 wrote it
    assert (history["metric"], history["better"]) == ("f1", "max")
    with pytest.raises(InputError, match="the best score so far is of f1, and train.metric loss"):
        History.from_json(history).go_on([], Score("loss", "min"), None, 0.0)


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ("optimizer.schedule=cosine", "the cosine schedule follows the number of all steps"),
        pytest.param(
            "optimizer.schedule={name: constant, warmup: 0.5}",
            "optimizer.schedule.warmup is a part of all steps",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "optimizer.accumulate=3",
            r"with optimizer.accumulate = 3 its last update is that of \d batch",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_resume_refuses_another_length_of_a_schedule(config, tmp_path, schedule, reason):
    run(config, tmp_path / "run", schedule, "train.epochs=1")
    with pytest.raises(InputError, match=rf"cannot resume for \d+ steps: .*{reason}.*Resume with train.epochs=1"):
        run(config, tmp_path / "run", schedule, "train.epochs=3", resume=True)
    run(config, tmp_path / "run", schedule, "train.epochs=1", resume=True)


def test_resume_after_early_stopping_goes_on_with_more_patience_or_says_why_not(config, tmp_path):
    still = ["train.epochs=9", "optimizer.learning_rate=1e-9"]  # it never gains
    result, said = run(config, tmp_path / "run", *still, "train.early_stopping={patience: 1}")
    assert "no gain in 1 evaluation: stopped early" in said
    assert result.steps == 16
    result, said = run(config, tmp_path / "run", *still, "train.early_stopping={patience: 1}", resume=True)
    assert "nothing to train: stopped early, no gain in 1 evaluation; give more train.early_stopping.patience" in said
    assert result.steps == 16
    result, said = run(config, tmp_path / "run", *still, "train.early_stopping={patience: 3}", resume=True)
    assert result.steps == 32
    assert result.best_step == 8
    result, said = run(config, tmp_path / "run", *still, "train.early_stopping=null", resume=True)
    assert result.steps == 72


def test_resume_of_a_whole_run_says_that_there_is_nothing_to_train(copied, config):
    assert "nothing to train: the 4 epochs are done; give more train.epochs to go on" in run(
        config, copied, resume=True
    )[1]  # fmt: skip


def test_another_min_delta_judges_the_scores_so_far_anew():
    records = [{"step": step, "f1": value} for step, value in enumerate([0.5, 0.55, 0.56, 0.57], 1)]
    history = History(metric="f1", best_score=0.57, best_step=4, stopped="patience")
    history.go_on(records, Score("f1"), 9, 0.1)
    assert (history.best_score, history.best_step, history.evaluations_without_gain) == (0.5, 1, 3)
    assert not history.finished


# -- places ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_path_is_not_a_pattern(config, tmp_path):
    name = "a[1] what?* [[x]"  # each would be one for a glob
    run(config, tmp_path / name, "train.epochs=1")
    assert open_run(tmp_path / name).step == 8
    run(config, tmp_path / name, "train.epochs=2", resume=True)
    run(config, tmp_path / "plain", "train.epochs=2")
    one, other = stored(tmp_path / name), stored(tmp_path / "plain")
    for path, value in other.items():
        np.testing.assert_array_equal(one[path], value, err_msg=path)


def test_two_processes_do_not_train_in_one_folder(copied, config):
    with RunFolder.held(copied):
        with pytest.raises(InputError, match=rf"another process \(\d+\) is at work on the run in {copied}; wait"):
            run(config, copied, resume=True)
        with pytest.raises(InputError, match="another process"):
            run(config, copied, overwrite=True)
        assert open_run(copied).step  # reading is free
    assert not (copied / "lock").exists()
    run(config, copied, resume=True)


def test_a_lock_that_a_killed_process_left_holds_nothing(copied, config):
    (copied / "lock").write_text('{"pid": 1, "host": "elsewhere"}')
    run(config, copied, resume=True)
    assert not (copied / "lock").exists()


# -- checkpoints -------------------------------------------------------------------------------------------------------


def test_an_older_best_checkpoint_keeps_the_model_alone(config, tmp_path):
    changes = ["train.epochs=5", "optimizer.learning_rate=1e-9", "train.average=0.9", "train.keep_checkpoints=1"]
    result, _ = run(config, tmp_path / "run", *changes)
    folder = tmp_path / "run" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["40", "8"]  # the newest and the best
    assert result.best_step == open_run(tmp_path / "run").step == 8
    best, newest = (sum(p.stat().st_size for p in (folder / name).rglob("*") if p.is_file()) for name in ("8", "40"))
    assert best < 0.7 * newest
    with closing(Checkpoints(folder, read_only=True)) as checkpoints:
        assert "scorer.weight" in checkpoints.arrays(8, ("model",))
        with pytest.raises(CheckpointError, match=r"training cannot go on from it; start another run .* step: 8\}"):
            checkpoints.arrays(8)


def test_checkpoints_of_versions_up_to_0_1_can_be_read(copied, tmp_path):
    """They hold all arrays in one part, and the score without its name."""
    from orbax.checkpoint import v1 as ocp

    arrays = stored(copied)
    with closing(Checkpoints(copied / "checkpoints", read_only=True)) as checkpoints:
        latest = checkpoints.latest()
        about = checkpoints.about(latest)
    old = ocp.training.Checkpointer(str(tmp_path / "old"))
    metrics = {"score": 0.5, "order": latest}
    old.save(latest, {"arrays": arrays}, metrics=metrics, custom_metadata=about)
    old.close()
    with closing(Checkpoints(tmp_path / "old", read_only=True, metric=Score("f1"))) as checkpoints:
        assert checkpoints.best() == latest
        read = checkpoints.arrays(latest)
    assert sorted(read) == sorted(arrays)
    assert all(np.array_equal(read[path], arrays[path]) for path in arrays)


# -- lengths -----------------------------------------------------------------------------------------------------------


def test_accumulating_more_batches_than_there_are_is_refused(config, tmp_path):
    with pytest.raises(InputError, match="optimizer.accumulate = 9, but there are only 8 steps in all"):
        run(config, tmp_path / "run", "optimizer.accumulate=9", "train.epochs=1")
    assert not (tmp_path / "run").exists()


def test_keys_that_follow_the_dev_score_name_the_way_to_draw_it(corpus, tmp_path):
    with pytest.raises(InputError, match=r"data.dev is missing; name a file, or draw it from the .* data.dev_fraction"):
        run(corpus / "moods-mean.yaml", tmp_path / "x", "data.dev_fraction=0", "train.metric=accuracy")


@pytest.mark.parametrize("device", ["gpu", "tpu"])
def test_a_device_that_is_not_there_is_refused_by_name(config, tmp_path, device):
    import jax

    if jax.default_backend() == device:
        pytest.skip(f"there is a {device}")
    with pytest.raises(InputError, match=rf"train.device = '{device}': JAX finds no {device.upper()} here; there are"):
        run(config, tmp_path / "run", f"train.device={device}")
    assert not (tmp_path / "run").exists()


def test_training_on_a_device_by_name(trained, config, tmp_path):
    run(config, tmp_path / "run", "train.device=cpu")
    found, expected = (json.loads((folder / "scores.json").read_text()) for folder in (tmp_path / "run", trained[1]))
    assert found == expected


def test_the_device_of_the_command_line(config, tmp_path, capsys):
    from spago_jax.cli.main import run as command

    assert command(["train", str(config), "--device", "cup", "--out", str(tmp_path / "x")]) == 2
    assert "train.device = 'cup': should be 'cpu', 'gpu' or 'tpu'" in capsys.readouterr().err


def test_one_name_is_not_a_list_of_letters(copied):
    from spago_jax.train.metrics.token_scores import TokenScores
    from spago_jax.train.watch.watch import Watch

    with closing(Checkpoints(copied / "checkpoints", read_only=True)) as checkpoints:
        latest = checkpoints.latest()
        assert sorted(checkpoints.arrays(latest, "model")) == sorted(checkpoints.arrays(latest, ("model",)))
    assert Watch(groups={"all": "loss"}, higher_is_better="f1").groups == {"all": ("loss",)}
    assert TokenScores(["O", "PER"], ignore="O").ignore == {"O"}


def test_the_time_of_compilation_is_that_of_the_clock(config, tmp_path, monkeypatch):
    """Programs are compiled side by side: their times added up exceed the time that one waits."""
    from spago_jax.train import loop

    class Hours(loop.CompileCounter):
        def __exit__(self, *exc):
            super().__exit__(*exc)
            self.seconds = 7200.0

    monkeypatch.setattr(loop, "CompileCounter", Hours)
    _, said = run(config, tmp_path / "run", "train.epochs=1")
    assert "programs compiled in " in said
    assert "2 h" not in said


def test_a_kill_while_an_old_checkpoint_is_cut_down_leaves_it_usable(copied, config):
    """The part that only training needs is renamed before it is deleted; what is left of it is deleted next time."""
    steps = sorted(int(path.name) for path in (copied / "checkpoints").iterdir())
    part = copied / "checkpoints" / str(steps[0]) / "training"
    part.rename(part.with_name("training.deleted"))
    assert open_run(copied, step=steps[0]).step == steps[0]
    run(config, copied, "train.epochs=5", resume=True)
    assert not list((copied / "checkpoints").glob("*/training.deleted"))


@pytest.mark.parametrize("content", ["[]", '{"train": [{}]}', '{"train": 3}', '{"train": [[]]}'])
def test_a_damaged_record_of_the_data_is_refused(copied, config, content):
    (copied / "data.json").write_text(content)
    with pytest.raises(InputError, match=r"data\.json: the record of the data is damaged"):
        run(config, copied, resume=True)


def test_resume_goes_on_after_damage_to_what_it_only_adds_to(copied, config):
    (copied / "about.json").write_text('{"commands": ')
    lines = (copied / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (copied / "metrics.jsonl").write_bytes(b"".join(lines[:3]) + b"[1]\n\xff\n" + b"".join(lines[3:]))
    run(config, copied, resume=True)
    assert len(json.loads((copied / "about.json").read_text())["commands"]) == 1
    assert (copied / "metrics.jsonl").read_bytes().startswith(b"".join(lines[:3]))


def test_a_line_end_of_unicode_ends_no_record(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append("a.jsonl", {"step": 1, "place": "a\u2028b\x85c"})
    folder.append("a.jsonl", {"step": 2})
    assert [record["step"] for record in folder.lines("a.jsonl")] == [1, 2]


@pytest.mark.parametrize("content", ['{"f1": 0.9}', '{"f1": "0.9", "order": 1}', '{"order": null}'])
def test_a_checkpoint_whose_score_is_damaged_is_one_without_a_score(copied, content):
    first, *others = sorted(int(path.name) for path in (copied / "checkpoints").iterdir())
    (copied / "checkpoints" / str(first) / "metrics" / "metrics").write_text(content)
    assert open_run(copied).step in others
