"""A run that was stopped, in whatever way, and resumed ends with the same bits as one that was not."""

import json
import signal

import pytest
from tiny_runs import same_bits

from spago_jax.cli.main import run
from spago_jax.train import Interrupted, fit, load_experiment
from spago_jax.train.console import TrainingConsole

LONGER = ["train.epochs=10", "train.buckets=1", "train.average=0.9", "optimizer.plateau={factor: 0.5, patience: 1}"]
STEPS = 8  # an epoch, in blocks of 2
LETTERS = ["train.epochs=4"]


@pytest.fixture(scope="module")
def labeler(config, tmp_path_factory):
    """Ten epochs without a stop."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(load_experiment(config, LONGER), folder, console=TrainingConsole(quiet=True))
    return folder


@pytest.fixture(scope="module")
def characters(corpus, tmp_path_factory):
    """Four epochs of the language model without a stop."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(load_experiment(corpus / "letters.yaml", LETTERS), folder, console=TrainingConsole(quiet=True))
    return folder


def resume(config, folder, *overrides):
    """In this process: the killed one was another."""
    assert run(["train", str(config), *overrides, "--out", str(folder), "--resume", "-q"]) == 0


def test_killed_within_an_epoch(labeler, config, tmp_path, spago_system):
    folder, changes = tmp_path / "run", [*LONGER, "train.checkpoint_every=2"]

    def ready():
        steps = spago_system.checkpoints(folder)
        return bool(steps) and steps[-1] > 2 * STEPS and steps[-1] % STEPS != 0

    spago_system.kill_when(ready, "train", config, *changes, "--out", folder)
    left = spago_system.checkpoints(folder)[-1]
    assert 2 * STEPS < left < 10 * STEPS
    resume(config, folder, *changes)
    same_bits(folder, labeler)


def test_killed_at_the_end_of_an_epoch(labeler, config, tmp_path, spago_system):
    folder = tmp_path / "run"
    log = folder / "metrics.jsonl"

    def ready():  # the score is in the log, and its checkpoint not yet, or just, on disk
        return log.exists() and log.read_text().count('"dev"') >= 3

    spago_system.kill_when(ready, "train", config, *LONGER, "--out", folder)
    assert not (folder / "scores.json").exists()
    resume(config, folder, *LONGER)
    same_bits(folder, labeler)


@pytest.mark.slow
def test_killed_twice_with_text_carried_from_chunk_to_chunk(characters, corpus, tmp_path, spago_system):
    folder, changes = tmp_path / "run", [*LETTERS, "train.checkpoint_every=4"]
    config = corpus / "letters.yaml"
    seen = 0
    for _ in range(2):

        def ready(before=seen):
            steps = spago_system.checkpoints(folder)
            return bool(steps) and steps[-1] > before + 4

        spago_system.kill_when(ready, "train", config, *changes, "--out", folder, "--resume")
        seen = spago_system.checkpoints(folder)[-1]
    assert not (folder / "scores.json").exists()
    resume(config, folder, *changes)
    same_bits(folder, characters)


def test_killed_before_the_first_checkpoint(labeler, config, tmp_path, spago_system):
    folder = tmp_path / "run"
    spago_system.kill_when((folder / "config.yaml").exists, "train", config, *LONGER, "--out", folder)
    resume(config, folder, *LONGER)
    same_bits(folder, labeler)


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(labeler, config, tmp_path, spago_system):
    folder = tmp_path / "a run"
    log = folder / "metrics.jsonl"
    ended = spago_system.stop_when(
        lambda: log.exists() and log.stat().st_size > 0, signal.SIGINT, "train", config, *LONGER, "--out", folder
    )
    assert ended.returncode == 130
    assert ended.stdout == ""
    step = spago_system.checkpoints(folder)[-1]
    assert ended.stderr.splitlines()[-1] == (
        f"spago-jax: interrupted at step {step}; a checkpoint is written. Go on with: "
        f"spago-jax train '{folder}/config.yaml' --out '{folder}' --resume"
    )
    assert "Traceback" not in ended.stderr
    assert (folder / "report.html").exists()
    resume(folder / "config.yaml", folder)  # as the message says
    same_bits(folder, labeler)


class SignalAfter(TrainingConsole):
    """Sends this process signals after a number of blocks."""

    def __init__(self, blocks: int, *numbers: int):
        super().__init__(quiet=True)
        self.blocks, self.numbers = blocks, numbers

    def advance(self, steps, rate, description=None):
        self.blocks -= 1
        if self.blocks == 0:
            for number in self.numbers:
                signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_after_the_block(labeler, config, tmp_path, spago_system, number):
    folder, before = tmp_path / "run", signal.getsignal(number)
    with pytest.raises(Interrupted, match="interrupted at step 10; a checkpoint is written"):
        fit(load_experiment(config, LONGER), folder, console=SignalAfter(5, number))
    assert spago_system.checkpoints(folder) == [8, 10]
    assert signal.getsignal(number) == before
    resume(config, folder, *LONGER)
    same_bits(folder, labeler)


def test_a_signal_at_the_last_block_of_an_epoch_does_not_skip_the_evaluation(labeler, config, tmp_path, spago_system):
    folder = tmp_path / "run"
    with pytest.raises(Interrupted, match="interrupted at step 16;"):
        fit(load_experiment(config, LONGER), folder, console=SignalAfter(8, signal.SIGINT))
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [e["step"] for e in events if e["kind"] == "dev"] == [8, 16]
    assert spago_system.checkpoints(folder) == [8, 16]
    resume(config, folder, *LONGER)
    same_bits(folder, labeler)


def test_a_second_signal_interrupts_at_once(labeler, config, tmp_path, spago_system):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        fit(load_experiment(config, LONGER), folder, console=SignalAfter(6, signal.SIGINT, signal.SIGINT))
    assert spago_system.checkpoints(folder) == [8]  # nothing was saved for it
    resume(config, folder, *LONGER)
    same_bits(folder, labeler)


def test_a_finished_run_resumed_changes_nothing(trained, config, tmp_path):
    import shutil

    _, folder = trained
    shutil.copytree(folder, tmp_path / "run")
    resume(config, tmp_path / "run")
    same_bits(tmp_path / "run", folder)


def test_resume_starts_anew_where_there_is_no_run(trained, config, tmp_path):
    resume(config, tmp_path / "run")
    same_bits(tmp_path / "run", trained[1])
