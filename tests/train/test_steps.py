"""Training counted in steps, and evaluation inside an epoch. Oracles: runs counted in epochs; whole runs."""

import json

import pytest
from tiny_runs import same_bits, stored

from spago_jax.errors import InputError
from spago_jax.train import RunFolder, fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.interrupt import Interrupted


def train(config, folder, *overrides, console=None, **options):
    return fit(load_experiment(config, overrides), folder, console=console or TrainingConsole(quiet=True), **options)


def records(folder, kind):
    return [r for r in RunFolder(folder).lines("metrics.jsonl") if r["kind"] == kind]


def test_whole_epochs_of_steps_are_epochs(config, tmp_path):
    train(config, tmp_path / "epochs", "train.epochs=2")
    train(config, tmp_path / "steps", "train.steps=16")  # 60 sentences in batches of 8
    same_bits(tmp_path / "epochs", tmp_path / "steps")


@pytest.mark.parametrize("steps", [1, 3, 11])
def test_training_ends_at_its_step_exactly(config, tmp_path, steps):
    result = train(config, tmp_path / "run", f"train.steps={steps}", "train.log_every=1")
    assert result.steps == steps
    assert int(stored(tmp_path / "run")["step"]) == steps
    assert records(tmp_path / "run", "dev")[-1]["step"] == steps
    assert records(tmp_path / "run", "train")[-1]["step"] == steps


def test_evaluation_inside_an_epoch(config, tmp_path):
    result = train(config, tmp_path / "run", "train.epochs=2", "train.evaluate_steps=4")
    steps = [record["step"] for record in records(tmp_path / "run", "dev")]
    assert [step // 4 for step in steps] == [1, 2, 3, 4]  # at the end of the call in which they fall due
    assert steps[-1] == 16
    assert result.best_step in steps
    plain = train(config, tmp_path / "plain", "train.epochs=2")
    for path, array in stored(tmp_path / "plain", plain.steps).items():  # looking changes nothing
        assert stored(tmp_path / "run", result.steps)[path].tobytes() == array.tobytes(), path


def test_patience_may_end_inside_an_epoch(config, tmp_path):
    overrides = ["train.epochs=30", "train.evaluate_steps=2", "train.early_stopping={patience: 1, min_delta: 10}"]
    train(config, tmp_path / "run", *overrides)
    assert [record["step"] for record in records(tmp_path / "run", "dev")][:2] == [2, 4]


class StopAfter(TrainingConsole):
    """Raises in the middle of training."""

    def __init__(self, blocks: int):
        super().__init__(quiet=True)
        self.blocks = blocks

    def advance(self, steps, rate, description=None):
        self.blocks -= 1
        if self.blocks == 0:
            raise Interrupted("enough")


SLOW = [pytest.param(blocks, marks=pytest.mark.slow) for blocks in (4, 6)]


@pytest.mark.parametrize("blocks", [3, 7, *SLOW])
def test_a_run_with_evaluations_inside_resumes_to_the_same_bits(config, tmp_path, blocks):
    overrides = ["train.steps=14", "train.evaluate_steps=4", "train.log_every=2"]
    train(config, tmp_path / "whole", *overrides)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts", *overrides, console=StopAfter(blocks))
    train(config, tmp_path / "parts", *overrides, resume=True)
    same_bits(tmp_path / "whole", tmp_path / "parts")


def test_evaluations_inside_an_epoch_need_dev_data(config, tmp_path):
    with pytest.raises(InputError, match="train.evaluate_steps follows the dev score, but data.dev is missing"):
        train(config, tmp_path / "run", "data.dev=null", "train.evaluate_steps=2")


def test_the_schedule_spans_the_steps(config, tmp_path):
    train(config, tmp_path / "run", "train.steps=10", "optimizer.schedule={name: linear}", "train.log_every=1")
    rates = [record["learning_rate"] for record in records(tmp_path / "run", "train")]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.02 * 0.1, rel=1e-5)
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["best_step"] <= 10
