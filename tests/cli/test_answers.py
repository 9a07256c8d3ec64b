# SPDX-License-Identifier: BSD-2-Clause
"""Answers line up with their inputs. Oracles: the input files; conlleval's counts."""

import json
import subprocess
import sys
import time

import pytest

from spago_jax.cli.main import run
from spago_jax.data.formats.conll import read_conll
from spago_jax.train.metrics.entity_f1 import EntityF1


@pytest.fixture
def says(capsys):
    def check(*arguments):
        assert run([str(a) for a in arguments]) == 0
        return capsys.readouterr().out

    return check


def answers(printed):
    return [json.loads(line) for line in printed.splitlines()]


def test_columns_are_kept_so_that_scorers_read_the_output(says, trained, corpus, tmp_path):
    result, folder = trained
    lines = (corpus / "test.conll").read_text().splitlines()
    (tmp_path / "four.conll").write_text("\n".join(line.replace("\t", "\tNN\tx\t") for line in lines) + "\n")
    out = tmp_path / "out.conll"
    says("predict", folder, "--input", tmp_path / "four.conll", "--format", "conll", "--output", out)
    metric = EntityF1()
    state = metric.init()
    for gold, found in zip(read_conll(out, tag_column=3), read_conll(out, tag_column=4), strict=True):
        state = metric.update(state, gold.tags, found.tags)
    assert metric.compute(state)["f1"] == pytest.approx(result.scores["test"].values["f1"])
    first = out.read_text().splitlines()[0].split("\t")
    assert first[1:3] == ["NN", "x"]
    assert len(first) == 5


def test_records_are_read_as_records(says, mood, tmp_path):
    rows = [{"text": "sunshine", "id": 7}, {"text": "a day of raining"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = [
        json.loads(x)
        for x in says("predict", mood[1], "--input", tmp_path / "a.jsonl", "--format", "json").splitlines()
    ]
    assert [(answer["text"], answer["line"]) for answer in found] == [("sunshine", 1), ("a day of raining", 2)]
    (tmp_path / "a.csv").write_text('text,more\n"sunshine, again",1\n')
    (answer,) = says("predict", mood[1], "--input", tmp_path / "a.csv", "--format", "json").splitlines()
    assert json.loads(answer)["text"] == "sunshine, again"
    (tmp_path / "a.txt").write_text((tmp_path / "a.csv").read_text())
    assert says("predict", mood[1], "--input", tmp_path / "a.txt", "--input-format", "csv").count("\n") == 1


def test_one_answer_per_line_with_the_text_as_given(says, mood, tmp_path):
    (tmp_path / "a.txt").write_text("  Sunshine  !\n\n\training\n")
    found = [
        json.loads(x) for x in says("predict", mood[1], "--input", tmp_path / "a.txt", "--format", "json").splitlines()
    ]
    assert [answer["text"] for answer in found] == ["  Sunshine  !", "", "\training"]
    assert [answer["line"] for answer in found] == [1, 2, 3]


def test_top_k_and_threshold(says, mood, trained, tmp_path):
    (tmp_path / "a.txt").write_text("sunshine\n")
    arguments = ("predict", mood[1], "--input", tmp_path / "a.txt", "--format", "json")
    assert len(json.loads(says(*arguments, "--top-k", 1))["ranking"]) == 1
    assert json.loads(says(*arguments, "threshold=1", "otherwise=unsure"))["label"] == "unsure"
    (tmp_path / "b.txt").write_text("Ann visits Rome .\n")
    arguments = ("predict", trained[1], "--input", tmp_path / "b.txt", "--format", "json", "--threshold")
    every, none = json.loads(says(*arguments, 0)), json.loads(says(*arguments, 1))
    assert [entity["text"] for entity in every["spans"]] == ["Ann", "Rome"]
    assert all(0 < entity["score"] <= 1 for entity in every["spans"])
    assert (none["spans"], none["tags"]) == ([], ["O"] * 4)


def test_tokens_apart_by_blanks_stay_tokens(says, trained, tmp_path):
    (tmp_path / "a.txt").write_text("Ann's visits-Rome .\n")
    arguments = ("predict", trained[1], "--input", tmp_path / "a.txt", "--format", "json", "--input-format", "tokens")
    assert json.loads(says(*arguments))["tokens"] == ["Ann's", "visits-Rome", "."]


def test_a_file_is_written_whole_or_not_at_all(trained, tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"Ann\n\xff\n")
    out = tmp_path / "out.txt"
    assert run(["predict", str(trained[1]), "--input", str(tmp_path / "a.txt"), "--output", str(out)]) == 2
    assert not out.exists()


def test_a_pipe_is_answered_line_by_line(trained):
    """The second line is written only after the first was answered."""
    command = [sys.executable, "-c", "from spago_jax.cli.main import main; main()", "predict", str(trained[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name in ("Ann", "Bob"):
            process.stdin.write(f"{name} visits Rome .\n")
            process.stdin.flush()
            assert name in process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=120) == 0


def test_what_arrives_slowly_is_not_waited_for():
    from spago_jax.tasks.arriving import Arriving

    def slow():
        yield 1
        time.sleep(0.2)
        yield 2
        raise ValueError("broken")

    arriving = Arriving(slow())
    assert arriving.arrived(5) == [1]
    assert arriving.arrived(5) == [2]
    with pytest.raises(ValueError, match="broken"):
        arriving.arrived(5)


def test_an_input_format_that_the_task_does_not_read_is_refused(trained, letters, pictures, capsys):
    for folder, message in (
        (trained[1], "not read by token-classification; it reads lines, tokens, conll, conllu"),
        (letters[1], "not read by text-generation; it reads lines"),
        (pictures[1], "not read by image-classification; the end of a file's name says what it is"),
    ):
        assert run(["predict", str(folder), "--input-format", "csv"]) == 2
        assert f"--input-format csv: {message}" in capsys.readouterr().err
