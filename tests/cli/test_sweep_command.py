"""`spago-jax sweep`: the table, the folder and the page of each method; what fails, and what is refused."""

import csv
import io
import json
import os
import re
import shutil
import signal

import pytest
import yaml

from spago_jax.cli.main import run
from spago_jax.errors import CheckpointError
from spago_jax.report.compare.summary import read_summary
from spago_jax.sweep.folder import SweepFolder
from spago_jax.train import load_experiment

# Parameters that are not compiled into the programs: all trials share what the first compiled.
SWEEP = """\
name: images
description: Made up <for> the tests.
base: {base}
method: {method}
settings: {{train.epochs: 2}}
parameters:
  seed: {seeds}
"""


@pytest.fixture
def write(corpus, tmp_path):
    """Writes a sweep of the image classifier and gives its path."""

    def make(method: str = "grid", seeds: str = "[1, 2]", more: str = "", base: object = None):
        path = tmp_path / "s.yaml"
        text = SWEEP.format(base=base or corpus / "images.yaml", method=method, seeds=seeds) + more
        path.write_text(text.replace("settings: {train.epochs: 2}\n", "") if "halving" in method else text)
        return path

    return make


@pytest.fixture
def swept(capsys, tmp_path):
    """Runs a sweep, which must succeed: (its table by columns, all that was printed)."""

    def check(*arguments: object):
        assert run(["sweep", *map(str, arguments), "--out", str(tmp_path / "out")]) == 0
        printed = capsys.readouterr()
        return table(printed.out), printed

    return check


def table(text: str) -> list[dict[str, str]]:
    """The printed table as records."""
    lines = [re.sub(r"  +", "\t", line.strip()) for line in text.splitlines() if not line.startswith(("folder", "rep"))]
    lines = [line for line in lines if "\t" in line]
    return list(csv.DictReader(io.StringIO("\n".join(["place\t" + lines[0], *lines[1:]])), delimiter="\t"))


def records(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


# -- what comes out --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grid(corpus, tmp_path_factory):
    """A finished grid of four trials: its folder."""
    folder = tmp_path_factory.mktemp("grid")
    text = SWEEP.format(base=corpus / "images.yaml", method="grid", seeds="[1, 2]")
    (folder / "s.yaml").write_text(text + "  optimizer.learning_rate: [1.0e-3, 2.0e-2]\n")
    assert run(["sweep", str(folder / "s.yaml"), "--out", str(folder / "out"), "-q"]) == 0
    return folder / "out"


def test_every_trial_is_an_ordinary_run(grid):
    found = records(grid)
    assert [record["trial"] for record in found] == [1, 2, 3, 4]
    assert found[1]["folder"] == "002-seed-1-learning_rate-0.02"
    for record in found:
        folder = grid / record["folder"]
        summary = read_summary(folder)
        scores = json.loads((folder / "scores.json").read_text())["scores"]
        assert (summary.state, summary.epochs) == ("finished", record["epochs"]) == ("finished", 2)
        assert record["scores"] == scores
        assert record["score"] == scores["dev"]["accuracy"]
        experiment = load_experiment(folder / "config.yaml")
        assert experiment.seed == record["settings"]["seed"]
        assert experiment.optimizer.learning_rate == record["settings"]["optimizer.learning_rate"]
        assert experiment.name == f"images/{record['trial']:03d}"
        command = json.loads((folder / "about.json").read_text())["commands"][0]
        assert command.startswith(f"spago-jax train {grid}/base.yaml name=images/")
        assert (folder / "report.html").exists()


def test_the_command_of_a_trial_gives_the_same_run(grid, tmp_path, capsys):
    record = records(grid)[2]
    command = json.loads((grid / record["folder"] / "about.json").read_text())["commands"][0].split()
    assert run([*command[1:-1], str(tmp_path / "again"), "-q"]) == 0
    for name in ("metrics.jsonl", "scores.json"):
        assert (tmp_path / "again" / name).read_bytes() == (grid / record["folder"] / name).read_bytes()


def test_the_table_is_sorted_best_first(grid, swept, write):
    shutil.copytree(grid, write().parent / "out")
    rows, printed = swept(grid / "sweep.yaml", "--resume")
    order = sorted(records(grid), key=lambda record: (-record["score"], record["trial"]))
    assert [row["trial"] for row in rows] == [f"{record['trial']:03d}" for record in order]
    assert [row["place"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["dev accuracy"] for row in rows] == [f"{record['score']:.4f}" for record in order]
    assert [row["optimizer.learning_rate"] for row in rows] == [
        f"{record['settings']['optimizer.learning_rate']:g}" for record in order
    ]
    assert "resumed: 4 ended before" in printed.err


def test_the_folder_is_a_sweep_of_its_own(grid, corpus):
    stored = yaml.safe_load((grid / "sweep.yaml").read_text())
    assert stored["base"] == "base.yaml"
    assert stored["settings"] == {"train.epochs": 2}
    assert load_experiment(grid / "base.yaml") == load_experiment(corpus / "images.yaml")


def test_the_page(grid):
    page = (grid / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "Made up &lt;for&gt; the tests." in page
    assert "default-src 'none'" in page
    for record in records(grid):
        assert f'href="{record["folder"]}/report.html"' in page
    for heading in ("Trials", "Settings and accuracy", "Curves of the best 4"):
        assert f"<h2>{heading}</h2>" in page
    for key in ("seed", "optimizer.learning_rate"):  # a dot for each trial
        (chart,) = re.findall(rf"<svg[^>]*><title>dev accuracy by {re.escape(key)}</title>.*?</svg>", page)
        assert chart.count("<circle") == 4
    assert "<h3>Dev accuracy</h3>" in page


def test_runs_lists_the_trials(grid, capsys):
    assert run(["runs", str(grid), "--sort", "accuracy"]) == 0
    assert capsys.readouterr().out.count(" finished ") == 4


def test_ranges_and_the_metric(swept, write):
    parameters = "  optimizer.learning_rate: {low: 1e-3, high: 1e-1, scale: log}\nmetric: loss\n"
    path = write("{kind: random, trials: 3, seed: 4}", "{low: 1, high: 99, integer: true}", parameters)
    rows, printed = swept(path)
    losses = [float(row["dev loss"]) for row in rows]
    assert losses == sorted(losses)  # less is better
    assert "images: 3 trials by random, folder" in printed.err
    page = (path.parent / "out" / "report.html").read_text()
    assert "dev loss by optimizer.learning_rate" in page
    best = read_summary(path.parent / "out" / records(path.parent / "out")[0]["folder"])
    assert best.metric is not None
    assert best.metric.name == "loss"  # it picks the checkpoint too


# -- successive halving ----------------------------------------------------------------------------------------------

HALVING = "{kind: halving, trials: 4, eta: 2, min_epochs: 1, max_epochs: 4}"
SEEDS = "[1, 2, 3, 4]"


def test_halving_goes_on_from_the_checkpoints(swept, write, tmp_path, capsys):
    rows, printed = swept(write(HALVING, SEEDS))
    found = records(tmp_path / "out")
    assert [(r["rung"], r["epochs"]) for r in found] == [(0, 1)] * 4 + [(1, 2)] * 2 + [(2, 4)]
    for rung in (0, 1):  # those that went on are the best ones of their rung, the earlier of equals
        before = sorted((r for r in found if r["rung"] == rung), key=lambda r: (-r["score"], r["trial"]))
        on = [r["trial"] for r in found if r["rung"] == rung + 1]
        assert on == sorted(r["trial"] for r in before[: len(on)])
    assert [row["epochs"] for row in rows] == ["4", "2", "1", "1"]
    assert "rung 2/3: 2 trials, 2 epochs in all" in printed.err
    assert "anew" not in printed.err
    assert "<h2>Rungs</h2>" in (tmp_path / "out" / "report.html").read_text()
    # The winner equals a run that had all epochs from the start.
    (last,) = [r for r in found if r["rung"] == 2]
    winner = tmp_path / "out" / last["folder"]
    assert len(json.loads((winner / "about.json").read_text())["commands"]) == 3
    texts = [f"seed={last['settings']['seed']}", "train.epochs=4"]
    assert run(["train", str(tmp_path / "out" / "base.yaml"), *texts, "--out", str(tmp_path / "one"), "-q"]) == 0
    scores = [json.loads((path / "scores.json").read_text()) for path in (winner, tmp_path / "one")]
    assert scores[0] == scores[1]
    assert last["scores"] == scores[1]["scores"]


@pytest.mark.slow
def test_halving_starts_anew_where_the_schedule_follows_all_steps(swept, write, tmp_path):
    more = "  optimizer.schedule: [cosine]\n"
    method = HALVING.replace("trials: 4", "trials: 2").replace("max_epochs: 4", "max_epochs: 2")
    _, printed = swept(write(method, "[1, 2]", more))
    found = records(tmp_path / "out")
    last = found[-1]
    assert f"{last['folder']} starts anew: the cosine schedule follows the number of all steps" in printed.err
    texts = [f"seed={last['settings']['seed']}", "train.epochs=2", "optimizer.schedule=cosine"]
    assert run(["train", str(tmp_path / "out" / "base.yaml"), *texts, "--out", str(tmp_path / "one"), "-q"]) == 0
    assert last["scores"] == json.loads((tmp_path / "one" / "scores.json").read_text())["scores"]


# -- failures --------------------------------------------------------------------------------------------------------


def test_a_trial_that_fails_is_recorded_and_the_sweep_goes_on(swept, write, tmp_path):
    more = "  optimizer.learning_rate: [1.0e+38, 0.01]\nsettings: {train.epochs: 2, optimizer.name: sgd}\n"
    path = write("grid", "[1]")
    path.write_text(path.read_text().replace("settings: {train.epochs: 2}\n", "") + more)
    rows, printed = swept(path)
    assert [(row["trial"], row["dev accuracy"]) for row in rows] == [
        ("002", rows[0]["dev accuracy"]),
        ("001", "failed"),
    ]
    failed = records(tmp_path / "out")[0]
    assert failed["state"] == "failed"
    assert failed["score"] is None
    reason = "the loss or its gradient is not finite at step "
    assert failed["reason"].startswith(reason)
    assert f"001-seed-1-learning_rate-1e-38 failed: {reason}" in printed.out
    assert f"[1/2] 001-seed-1-learning_rate-1e-38: failed: {reason}" in printed.err
    assert reason in (tmp_path / "out" / "report.html").read_text()


def test_all_trials_fail(write, tmp_path, capsys):
    path = write("grid", "[1, 2]")
    arguments = ["optimizer.learning_rate=1.0e+38", "optimizer.name=sgd", "--out", str(tmp_path / "out"), "-q"]
    assert run(["sweep", str(path), *arguments]) == 1
    message = capsys.readouterr().err
    assert message.startswith("spago-jax: all 2 trials failed; the first: the loss or its gradient is not finite at")
    assert (tmp_path / "out" / "report.html").exists()


def test_a_full_disk_stops_the_sweep(write, tmp_path, capsys, monkeypatch):
    done = []

    def full(job):
        if done:
            raise CheckpointError("cannot write x: No space left on device")
        done.append(job)
        return {"state": "failed", "reason": "made up"}

    monkeypatch.setattr("spago_jax.sweep.processes.run_job", full)
    assert run(["sweep", str(write("grid", "[1, 2, 3]")), "--out", str(tmp_path / "out"), "-q"]) == 1
    assert capsys.readouterr().err == (
        f"spago-jax: cannot write x: No space left on device. The sweep has stopped. "
        f"Go on with: spago-jax sweep {tmp_path}/out/sweep.yaml --out {tmp_path}/out --resume\n"
    )
    assert [record["trial"] for record in records(tmp_path / "out")] == [1]


def test_the_records_are_whole_or_not_there(write, tmp_path, monkeypatch):
    folder = SweepFolder(tmp_path)
    folder.add({"trial": 1})

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*trials.jsonl: No space left on device"):
        folder.add({"trial": 2})
    assert folder.records() == [{"trial": 1}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trials.jsonl"]


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(capsys):
    """Runs the command, which must refuse, and gives its message."""

    def check(*arguments: object) -> str:
        assert run(["sweep", *map(str, arguments)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err.removeprefix("spago-jax: ").rstrip("\n")

    return check


def test_a_mistake_in_any_trial_is_found_before_any_work(refused, write, tmp_path):
    path = write("grid", "[1, 2]", "  train.batch_size: [8, none]\n")
    assert refused(path, "--out", tmp_path / "out") == (
        f"{path}:8: trial 2: train.batch_size = 'none': should be a valid integer, unable to parse string as an integer"
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_taken(refused, write, grid, tmp_path):
    path = write()
    assert refused(path, "--out", grid) == (
        f"{grid} holds a sweep already; go on with it by --resume, or write elsewhere by --out"
    )
    run_folder = grid / records(grid)[0]["folder"]
    assert refused(path, "--out", run_folder) == (
        f"{run_folder} is the folder of a run; write the sweep elsewhere by --out"
    )
    (tmp_path / "out" / "001-seed-1").mkdir(parents=True)
    assert refused(path, "--out", tmp_path / "out") == (
        f"{tmp_path}/out/001-seed-1 is there already; write the sweep elsewhere by --out"
    )
    (tmp_path / "file").write_text("")
    assert refused(path, "--out", tmp_path / "file") == f"cannot write the folder {tmp_path}/file: File exists"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed: [1, 2]", "seed: [1, 3]"), "parameters.seed.choice was [1, 2], now [1, 3]"),
        (("method: grid", "method: {kind: random, trials: 2}"), "method.kind was grid, now random"),
        (("train.epochs: 2", "train.epochs: 3"), "settings.train.epochs was 2, now 3"),
        (("description", "metric: loss\ndescription"), "metric was null, now loss"),
        (("parameters:\n", "parameters:\n  model.dropout: [0.1]\n"),
         "parameters.model.dropout.choice was not set, now [0.1]"),
        (("BASE", "model.hidden=[5]"), "base: model.hidden was [12], now [5]"),
    ],
)  # fmt: skip
def test_another_sweep_is_not_resumed(refused, grid, tmp_path, corpus, change, message):
    text = (grid.parent / "s.yaml").read_text()
    if change[0] == "BASE":
        base = yaml.safe_load((corpus / "images.yaml").read_text())
        base["model"]["hidden"] = [5]
        (tmp_path / "b.yaml").write_text(yaml.safe_dump(base))
        text = text.replace(str(corpus / "images.yaml"), "b.yaml")
    (tmp_path / "s.yaml").write_text(text.replace(*change))
    assert refused(tmp_path / "s.yaml", "--out", grid, "--resume") == (
        f"cannot resume: {message}. Resume with the same sweep (jobs may change), or start another with --out"
    )


def test_a_damaged_list_of_trials(refused, grid, tmp_path):
    shutil.copytree(grid, tmp_path / "out")
    (tmp_path / "out" / "trials.jsonl").write_text('{"tri')
    assert f"{tmp_path}/out/trials.jsonl: not JSON lines any more: " in refused(
        tmp_path / "out" / "sweep.yaml", "--out", tmp_path / "out", "--resume", "-q"
    )


def test_two_sweeps_in_one_folder(refused, grid, monkeypatch):
    monkeypatch.setattr("spago_jax.sweep.folder.PATIENCE", 0.2)
    with SweepFolder(grid).locked():
        assert refused(grid / "sweep.yaml", "--out", grid, "--resume", "-q") == (
            f"another process ({os.getpid()}) is at work on the sweep in {grid}; wait for it, or end it"
        )


def test_ctrl_c_before_the_first_step(write, tmp_path, capsys, monkeypatch, request):
    def pressed(job):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("spago_jax.sweep.processes.run_job", pressed)
    # A shell starts what it runs in the background with this signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    assert run(["sweep", str(write()), "--out", str(tmp_path / "an out"), "-q"]) == 130
    assert capsys.readouterr().err == (
        f"spago-jax: interrupted in {tmp_path}/an out/001-seed-1; what was trained is kept. Go on with: "
        f"spago-jax sweep '{tmp_path}/an out/sweep.yaml' --out '{tmp_path}/an out' --resume\n"
    )


def test_half_deleted_runs_are_made_anew(corpus, tmp_path):
    from spago_jax.sweep.worker import _clear

    folder = tmp_path / "run"
    (folder / "checkpoints" / "9").mkdir(parents=True)
    _clear(folder, None)  # no config: a kill left it while it was deleted
    assert not folder.exists()
    folder.mkdir()
    (folder / "config.yaml").write_text("train: {epochs: 3}\n")
    _clear(folder, 3)
    _clear(folder, None)
    assert folder.exists()
    _clear(folder, 9)
    assert not folder.exists()


def test_the_folder_of_a_sweep_is_not_a_pattern(write, tmp_path, capsys):
    from spago_jax.tasks.load import open_run

    assert run(["sweep", str(write()), "--out", str(tmp_path / "s[1]*"), "-q"]) == 0
    assert [record["state"] for record in records(tmp_path / "s[1]*")] == ["finished", "finished"]
    assert open_run(tmp_path / "s[1]*" / "001-seed-1").step > 0
    assert not (tmp_path / "s[1]*" / "lock").exists()
