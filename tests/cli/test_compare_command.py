"""`spago-jax compare`: the page and the table of several runs, and what it refuses."""

import json
import re
import shutil

import pytest

from spago_jax.cli.main import run
from spago_jax.report.compare.page import run_letters as labels
from spago_jax.train import RunFolder, fit, load_experiment
from spago_jax.train.console import TrainingConsole


@pytest.fixture(scope="module")
def other(config, tmp_path_factory):
    """The labeler with batches of another size: (result, folder)."""
    folder = tmp_path_factory.mktemp("other") / "wide <b>"
    experiment = load_experiment(config, ["train.epochs=2", "train.batch_size=12", "name=other"])
    return fit(experiment, folder, console=TrainingConsole(quiet=True)), folder


@pytest.fixture
def compared(capsys, tmp_path):
    """Compares runs: (the lines that were printed, the page)."""

    def check(*runs: object) -> tuple[list[str], str]:
        assert run(["compare", *map(str, runs), "--out", str(tmp_path / "page.html")]) == 0
        return capsys.readouterr().out.splitlines(), (tmp_path / "page.html").read_text()

    return check


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Runs the command, which must refuse, and gives its message; no page may be left."""
    monkeypatch.chdir(tmp_path)

    def check(*arguments: object) -> str:
        before = set(tmp_path.iterdir())
        assert run(["compare", *map(str, arguments)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert set(tmp_path.iterdir()) == before
        return printed.err.removeprefix("spago-jax: ").rstrip("\n")

    return check


def row(lines: list[str], name: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(f"{name}  ")]
    return line.removeprefix(name).split()


def test_the_table(compared, trained, other):
    lines, _ = compared(trained[1], other[1])
    assert lines[:2] == [f"A: {trained[1]}", f"B: {other[1]}"]
    assert lines[2].split() == ["A", "B"]
    for split in ("dev", "test"):
        for name in ("f1", "accuracy"):
            expected = [f"{result.scores[split].values[name]:.4f}" for result, _ in (trained, other)]
            assert row(lines, f"{split} {name}") == expected
    assert row(lines, "steps") == [str(trained[0].steps), str(other[0].steps)]
    assert row(lines, "train.batch_size") == ["8", "12"]
    assert row(lines, "train.epochs") == ["4", "2"]
    assert not any(line.startswith(("name", "model.hidden")) for line in lines)
    assert lines[-1].startswith("page: ")


def test_the_page_holds_all_and_needs_nothing_else(compared, trained, other):
    _, page = compared(trained[1], other[1])
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "default-src 'none'" in page
    assert "wide &lt;b&gt;" in page
    assert "<b>&quot;" not in page
    for heading in ("Scores", "Curves", "Settings that differ", "Size and speed"):
        assert f"<h2>{heading}</h2>" in page
    for chart in ("Training loss", "Dev loss", "Dev F1", "Dev accuracy"):
        assert f"<h3>{chart}</h3>" in page
    assert "<code>train.batch_size</code>" in page


def test_the_curves_are_the_logged_numbers(compared, trained, other):
    _, page = compared(trained[1], other[1])
    # Epochs have not the same number of steps, so the x axis counts epochs.
    found = re.search(r"<title>Dev F1</title>", page)
    assert found
    data = json.loads(re.findall(r'data-chart="(.*?)"', page[: found.start()])[-1].replace("&quot;", '"'))
    assert data["x"] == "epoch"
    assert [line["name"] for line in data["lines"]] == ["A", "B"]
    for (_, folder), line in zip((trained, other), data["lines"], strict=True):
        events = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
        dev = [event for event in events if event["kind"] == "dev"]
        assert line["is"] == [[str(event["epoch"]), f"{event['f1']:.4f}"] for event in dev]


def test_runs_of_one_length_of_epoch_are_drawn_by_step(compared, trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "same")
    lines, page = compared(trained[1], tmp_path / "same")
    assert "&quot;x&quot;:&quot;step&quot;" in page
    assert "All settings are the same." in page
    assert lines[-1].startswith("page: ")


def test_more_runs_than_hues_are_drawn_six_to_a_chart(compared, trained, tmp_path):
    for i in range(8):
        shutil.copytree(trained[1], tmp_path / str(i))
    _, page = compared(*(tmp_path / str(i) for i in range(8)))
    assert "<h3>Dev F1, A to F</h3>" in page
    assert "<h3>Dev F1, G to H</h3>" in page


def test_what_is_not_comparable_is_said(compared, trained, letters):
    lines, page = compared(trained[1], letters[1])
    care = "not comparable without care:"
    remarks = [line for line in lines if line.startswith("not comparable")]
    assert remarks == [
        "not comparable: the runs are judged by different scores: f1 (A), nats (B)",
        "not comparable: the losses are those of different tasks: text-generation, token-classification",
        next(line for line in lines if line.startswith(f"{care} the data differ in data.format, ")),
        "not comparable: the speeds count different things: characters, tokens",
    ]
    assert "Not comparable: the runs are judged by different scores: f1 (A), nats (B)." in page
    assert row(lines, "dev nats") == ["-", f"{letters[0].scores['dev'].values['nats']:.4f}"]


def test_a_run_that_has_not_ended(compared, trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "scores.json").unlink()
    (tmp_path / "run" / "report.html").unlink()
    RunFolder(tmp_path / "run").write_state("running")
    lines, _ = compared(trained[1], tmp_path / "run")
    assert "B is unfinished: its dev scores are those of its best evaluation so far" in lines
    RunFolder(tmp_path / "run").write_state("failed", ValueError("the disk is full. Make room"))
    lines, _ = compared(trained[1], tmp_path / "run")
    assert "B failed (the disk is full): its dev scores are those of its best evaluation so far" in lines
    one, other = row(lines, "dev f1")
    assert one == other  # the best evaluation is what the best checkpoint scored


def test_the_page_is_written_where_one_stands(trained, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["compare", str(trained[1]), str(pictures[1])]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "page: compare.html"
    assert (tmp_path / "compare.html").exists()


# -- refusals --------------------------------------------------------------------------------------------------------


def test_one_run_is_not_enough(refused, trained):
    assert refused(trained[1]) == "compare needs two runs or more, got 1: spago-jax compare RUN RUN"


def test_a_run_given_twice(refused, trained):
    assert refused(trained[1], trained[1]) == f"{trained[1]} is given twice"


def test_no_run(refused, trained, tmp_path):
    assert refused(trained[1], tmp_path / "nothing") == f"{tmp_path / 'nothing'}: no such run folder"
    assert refused(trained[1], tmp_path) == f"{tmp_path}: not the folder of a run"


def test_a_broken_run(refused, trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "config.yaml").unlink()
    assert refused(trained[1], tmp_path / "run") == f"{tmp_path / 'run'} is broken: it has no config.yaml"


def test_a_page_that_cannot_be_written(refused, trained, pictures, tmp_path):
    runs = (trained[1], pictures[1])
    assert refused(*runs, "--out", tmp_path) == f"{tmp_path}: is a folder; give a file to write"
    missing = tmp_path / "no" / "x.html"
    assert refused(*runs, "--out", missing) == f"cannot write {missing}: the folder {tmp_path / 'no'} does not exist"


def test_labels_against_a_spreadsheets_columns():
    assert labels(30)[:3] == ["A", "B", "C"]
    assert labels(30)[24:] == ["Y", "Z", "AA", "AB", "AC", "AD"]
