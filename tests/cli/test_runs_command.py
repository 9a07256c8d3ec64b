"""`spago-jax runs`: what it lists of finished, stopped and broken runs."""

import json
import os
import shutil

import pytest

from spago_jax.cli.main import run
from spago_jax.report.compare.differences import differing, setting
from spago_jax.report.compare.summary import find_runs, is_run, read_summary
from spago_jax.train import Interrupted, RunFolder, fit, load_experiment
from spago_jax.train.console import TrainingConsole
from spago_jax.train.task import Score


@pytest.fixture
def says(capsys):
    """Runs the command, which must succeed, and gives its standard output."""

    def check(*arguments: object) -> str:
        assert run([str(a) for a in arguments]) == 0
        return capsys.readouterr().out

    return check


@pytest.fixture(scope="module")
def runs(trained, letters, pictures, tmp_path_factory):
    """A folder with three finished runs, one of them deeper."""
    folder = tmp_path_factory.mktemp("several")
    for name, (_, path) in {"tiny": trained, "deep/er/letters": letters, "images": pictures}.items():
        shutil.copytree(path, folder / name)
    return folder


@pytest.fixture
def one(trained, tmp_path):
    """A copy of a finished run, to be damaged."""
    shutil.copytree(trained[1], tmp_path / "run")
    return tmp_path / "run"


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell.strip()]


def test_the_table(says, runs, trained, letters):
    lines = says("runs", runs).splitlines()
    assert cells(lines[0])[0] == "run"
    assert len(lines) == 4
    (tiny,) = [line for line in lines if line.startswith(str(runs / "tiny"))]
    result = trained[0]
    table = json.loads((trained[1] / "model.json").read_text())
    parameters = sum(row["count"] for row in table if row["role"] != "buffer")
    words = tiny.split()
    assert words[1:6] == ["token-classification", "finished", "4/4", str(result.steps), f"{parameters:,}"]
    assert words[6:10] == [
        "f1", f"{result.scores['dev'].values['f1']:.4f}", "f1", f"{result.scores['test'].values['f1']:.4f}",
    ]  # fmt: skip
    (deep,) = [line for line in lines if line.startswith(str(runs / "deep" / "er" / "letters"))]
    assert f"nats {letters[0].scores['dev'].values['nats']:.4f}" in deep
    assert " -  " in deep  # no test part


def test_only_settings_that_differ_are_shown(says, trained, config, tmp_path):
    shutil.copytree(trained[1], tmp_path / "a")
    fit(load_experiment(config, ["train.epochs=1", "model.dropout=0.1", "name=other"]), tmp_path / "b",
        console=TrainingConsole(quiet=True))  # fmt: skip
    head, *rows = says("runs", tmp_path).splitlines()
    assert head.split()[-2:] == ["model.dropout", "train.epochs"]
    assert "dev f1" in head
    assert {tuple(row.split()[-2:]) for row in rows} == {("0.2", "4"), ("0.1", "1")}


def test_json(says, runs, trained):
    records = {record["run"]: record for record in json.loads(says("runs", runs, "--json"))}
    record = records[str(runs / "tiny")]
    assert record["dev"] == trained[0].scores["dev"].values
    assert record["test"] == trained[0].scores["test"].values
    assert record["state"] == "finished"
    assert record["metric"] == "f1"
    assert record["differs"]["task"] == "token-classification"
    assert "name" not in record["differs"]
    assert 0 < record["started"] <= (trained[1] / "scores.json").stat().st_mtime


def test_sorted_best_first(says, trained, config, tmp_path):
    for i, value in enumerate((0.5, 0.9, 0.7)):
        shutil.copytree(trained[1], tmp_path / f"r{i}")
        scores = json.loads((trained[1] / "scores.json").read_text())
        scores["scores"]["dev"] |= {"f1": value, "loss": value}
        (tmp_path / f"r{i}" / "scores.json").write_text(json.dumps(scores))

    def order(by):
        return [line.split()[0][-2:] for line in says("runs", tmp_path, "--sort", by).splitlines()[1:]]

    assert order("f1") == ["r1", "r2", "r0"]
    assert order("dev.loss") == ["r0", "r2", "r1"]  # less is better


def test_runs_without_the_score_come_last(says, runs):
    rows = says("runs", runs, "--sort", "nats").splitlines()[1:]
    assert "text-generation" in rows[0]


def test_an_unknown_score(runs, capsys):
    assert run(["runs", str(runs), "--sort", "acuracy"]) == 2
    assert capsys.readouterr().err == ("spago-jax: --sort acuracy: no run has this score: did you mean 'accuracy'?\n")
    assert run(["runs", str(runs), "--sort", "train.f1"]) == 2
    assert "no run has this score" in capsys.readouterr().err


def test_a_folder_that_does_not_exist(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["runs"]) == 2
    assert capsys.readouterr().err == (
        "spago-jax: runs: no such folder; spago-jax train writes into runs/NAME, or where --out says\n"
    )


def test_a_folder_without_runs(says, tmp_path):
    (tmp_path / "config.yaml").write_text("port: 80\n")  # somebody else's
    assert says("runs", tmp_path) == f"no runs in {tmp_path}\n"
    assert says("runs", tmp_path, "--json") == "[]\n"


# -- runs that did not end, and broken ones --------------------------------------------------------------------------


class StopAfter(TrainingConsole):
    """Raises in the middle of training."""

    def __init__(self, blocks: int, error: BaseException):
        super().__init__(quiet=True)
        self.blocks, self.error = blocks, error

    def advance(self, steps, rate, description=None):
        self.blocks -= 1
        if self.blocks == 0:
            raise self.error


@pytest.mark.slow
def test_an_interrupted_run_and_a_killed_one(says, config, tmp_path):
    for name, error in (("stopped", Interrupted("enough")), ("killed", KeyboardInterrupt())):
        with pytest.raises(type(error)):
            fit(load_experiment(config), tmp_path / name, console=StopAfter(6, error))
        assert read_summary(tmp_path / name).state == "interrupted"
    RunFolder(tmp_path / "killed").write_state("running")  # one that is killed cannot say so
    stopped, killed = read_summary(tmp_path / "stopped"), read_summary(tmp_path / "killed")
    assert (stopped.state, killed.state) == ("interrupted", "unfinished")
    events = [json.loads(line) for line in (tmp_path / "stopped" / "metrics.jsonl").read_text().splitlines()]
    (dev,) = [event for event in events if event["kind"] == "dev"]
    assert stopped.dev == {k: v for k, v in dev.items() if k not in ("step", "kind", "epoch")}
    assert stopped.score == dev["f1"]
    assert (stopped.epochs, stopped.epochs_asked, stopped.test) == (1, 4, {})
    printed = says("runs", tmp_path)
    assert [line.split()[2:4] for line in printed.splitlines()[1:]] == [["interrupted", "1/4"], ["unfinished", "1/4"]]


def test_a_run_that_is_running_and_one_that_failed(says, config, tmp_path):
    folder, states = tmp_path / "run", []

    class Look(TrainingConsole):
        def advance(self, steps, rate, description=None):
            if not states:
                states.append(read_summary(folder).state)
                raise ValueError("the coffee is cold\nand the cake is gone")

    with pytest.raises(ValueError, match="cold"):
        fit(load_experiment(config), folder, console=Look(quiet=True))
    found = read_summary(folder)
    assert (*states, found.state, found.reason) == ("running", "failed", "the coffee is cold")
    assert f"{folder} failed: the coffee is cold" in says("runs", tmp_path)
    assert "This run failed: the coffee is cold." in (folder / "report.html").read_text()
    assert not (folder / "lock").exists()


def test_the_steps_of_a_run_are_those_of_its_checkpoint(one):
    """The log may lag behind; and epochs are counted against train.epochs only where these decide."""
    (one / "checkpoints" / "350").mkdir()
    text = (one / "config.yaml").read_text()
    (one / "config.yaml").write_text(text.replace("steps: null", "steps: 400"))
    found = read_summary(one)
    assert (found.steps, found.steps_asked, found.epochs_asked) == (350, 400, None)


def test_a_finished_run_of_a_version_without_state_that_is_trained_on_is_unfinished(one):
    (one / "state.json").unlink()
    assert read_summary(one).state == "finished"
    later = (one / "config.yaml").read_text().replace("epochs: 4", "epochs: 9")
    (one / "config.yaml").write_text(later)
    os.utime(one / "report.html", (1, 1))
    assert read_summary(one).state == "unfinished"
    (one / "config.yaml").write_text(later.replace("early_stopping: null", "early_stopping: {patience: 1}"))
    assert read_summary(one).state == "finished"  # it stopped early


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda run: (run / "config.yaml").unlink(), "it has no config.yaml"),
        (lambda run: (run / "config.yaml").write_text("a: 1\nb: [1\n"), "its config.yaml is not valid YAML, line 3"),
        (lambda run: (run / "config.yaml").write_text("- 1\n"),
         "its config.yaml is not a mapping with data, model and optimizer"),
        (lambda run: (run / "config.yaml").write_text("model: 3\n"), "its config.yaml does not name a task"),
        (lambda run: (run / "scores.json").write_text('{"best'), "its scores.json is damaged"),
        (lambda run: (run / "metrics.jsonl").write_text('{"step": 1}\n{"st\n{"step": 2}\n'),
         "its metrics.jsonl is damaged at line 2"),
    ],
)  # fmt: skip
def test_a_broken_run_is_listed_with_the_reason(says, one, tmp_path, trained, damage, reason):
    damage(one)
    shutil.copytree(trained[1], tmp_path / "whole")
    printed = says("runs", tmp_path)
    assert printed.splitlines()[-1] == f"{one} is broken: {reason}"
    assert " finished " in printed
    record = next(r for r in json.loads(says("runs", tmp_path, "--json")) if r["run"] == str(one))
    assert (record["state"], record["reason"]) == ("broken", reason)
    assert " broken " in says("runs", tmp_path, "--sort", "f1").splitlines()[-2]


def test_a_last_line_cut_off_by_a_kill_is_no_damage(one):
    with open(one / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "lo')
    assert read_summary(one).state == "finished"


# -- parts -----------------------------------------------------------------------------------------------------------


def test_what_is_a_run(runs, tmp_path):
    assert find_runs([runs, runs / "tiny"]) == sorted([runs / "deep/er/letters", runs / "images", runs / "tiny"])
    assert not is_run(["config.yaml"])
    assert is_run(["metrics.jsonl", "checkpoints"])
    (tmp_path / ".hidden").mkdir()
    shutil.copytree(runs / "images", tmp_path / ".hidden" / "run")
    assert find_runs([tmp_path]) == []


def test_differing():
    configs = [{"a": 1, "b": [1], "name": "x", "e": 0}, {"a": 1, "b": [2], "name": "y", "c": None, "d": [], "e": 0}]
    assert differing(configs) == ["b"]
    assert differing([{"a": None}, {"a": 0.5}]) == differing([{}, {"a": 0.5}]) == ["a"]
    assert differing(configs[:1]) == differing([]) == []


def test_settings_are_cut_where_they_are_long():
    assert setting("x" * 60) == "x" * 37 + "..."
    assert setting({"name": "adam", "on": True}) == "{name: adam, 'on': true}"


def test_which_way_a_score_is_better(trained, letters, one):
    tagger, language_model = read_summary(trained[1]), read_summary(letters[1])
    assert [tagger.mode(name) for name in ("f1", "precision", "loss")] == ["max", "max", "min"]
    assert language_model.mode("nats") == "min"
    (one / "scores.json").unlink()  # a run that has not ended says it too
    assert read_summary(one).metric == Score("f1", "max")
    assert read_summary(one).mode("recall") == "max"
