"""`spago-jax run` over files: shards, and runs that go on after an interruption. Oracle: the bytes of one whole run."""

import fcntl
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers import refuses
from tiny_pretrained import write_tiny, write_vocabulary

from spago_jax.cli.main import run
from spago_jax.tasks.bulk import Shard, input_files
from spago_jax.tasks.pretrained import registry
from spago_jax.tasks.resumable import progress_file, resumed

COUNT = 23
TEXTS = [" ".join("abcdefghijklmnop"[n % 7 : n % 7 + 1 + n * 5 % 9]) for n in range(COUNT)]
MADE = {"task": "t", "model": "m", "options": {"top_k": 1}, "inputs": [{"file": "f", "bytes": 1, "sha256": "0"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("models") / "classes"
    labels = {"0": "no", "1": "maybe", "2": "yes"}
    write_tiny(found, head="sequence-classification", id2label=labels)
    write_vocabulary(found)
    return found


@pytest.fixture(scope="module")
def shared(folder):
    """The class of a task that is opened once, so that its programs are compiled once."""
    real = registry.pretrained_task("text-classification")
    predictor = real.open(str(folder))

    class Once(real):
        @classmethod
        def open(cls, *_, **__):
            return predictor

    return Once, predictor


@pytest.fixture
def command(shared, folder, tmp_path, monkeypatch):
    """A command over two files, of 9 records and of 14 that are compressed, in blocks of 4."""
    monkeypatch.setattr(registry, "pretrained_task", lambda _: shared[0])
    records = [json.dumps({"text": text}) + "\n" for text in TEXTS]
    (tmp_path / "in-0.jsonl").write_text("".join(records[:9]))
    with gzip.open(tmp_path / "in-1.jsonl.gz", "wt") as file:
        file.write("\n" + "".join(records[9:]))
    return ["run", "text-classification", str(folder), "--input", f"{tmp_path}/in-*.jsonl*", "--batch-size", "4"]


@pytest.fixture
def whole(command, tmp_path):
    assert run([*command, "--output", str(tmp_path / "whole.jsonl")]) == 0
    return (tmp_path / "whole.jsonl").read_bytes()


def progress(output):
    return json.loads(progress_file(output).read_text())


def test_shards_one_after_the_other_are_one_whole_run(command, whole, tmp_path, capsys):
    assert [json.loads(line)["text"] for line in whole.splitlines()] == TEXTS
    for of in (1, 3, 7):
        found = b""
        for index in range(1, of + 1):
            out = tmp_path / f"{index}-{of}.jsonl"
            assert run([*command, "--shard", f"{index}/{of}", "--output", str(out)]) == 0
            found += out.read_bytes()
        assert found == whole, of
    capsys.readouterr()
    assert run([*command, "--shard", "2/3", "--format", "jsonl"]) == 0
    assert capsys.readouterr().out.encode() == (tmp_path / "2-3.jsonl").read_bytes()


def test_shards_join_without_a_gap_whatever_their_number():
    for count in range(0, 30, 3):
        for size in (1, 4, 7):
            for of in range(1, 12):
                parts = [Shard(index, of).part(count, size) for index in range(1, of + 1)]
                assert [place for part in parts for place in part] == list(range(count))
                assert all(part.start % size == 0 or not part for part in parts)


def test_a_run_that_was_interrupted_goes_on_and_is_the_same_byte_for_byte(
    command, whole, shared, tmp_path, monkeypatch
):
    predictor, out, asked = shared[1], tmp_path / "out.jsonl", []
    own = type(predictor).written

    def written(self, inputs, *arguments, **options):
        if len(asked) == 8:
            raise KeyboardInterrupt
        asked.extend(inputs)
        return own(self, inputs, *arguments, **options)

    command = [*command, "--output", str(out), "--resume"]
    with monkeypatch.context() as patch:
        patch.setattr(type(predictor), "written", written)
        assert run(command) == 130
    assert out.read_bytes() == b"".join(whole.splitlines(keepends=True)[:8])
    assert (progress(out)["answered"], progress(out)["complete"]) == (8, False)
    assert [each["bytes"] for each in progress(out)["inputs"]] == [
        os.path.getsize(tmp_path / name) for name in ("in-0.jsonl", "in-1.jsonl.gz")
    ]
    # Killed in the middle of a line, within a block, and before the count of it was written.
    out.write_bytes(b"".join(whole.splitlines(keepends=True)[:10]) + b'{"text": "a')
    before = out.stat().st_ino
    assert run(command) == 0
    assert out.read_bytes() == whole
    assert out.stat().st_ino == before  # what was there is kept, not written anew
    assert (progress(out)["answered"], progress(out)["complete"]) == (COUNT, True)
    assert run(command) == 0  # nothing is left to answer
    assert out.read_bytes() == whole


def test_a_shard_goes_on_within_its_part(command, tmp_path):
    out, command = tmp_path / "part.jsonl", [*command, "--shard", "2/2", "--resume", "--output"]
    assert run([*command, str(out)]) == 0
    right = out.read_bytes()
    out.write_bytes(right[: len(right) * 2 // 3])
    assert run([*command, str(out)]) == 0
    assert out.read_bytes() == right


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--top-k", "2"], "begun with --top-k left out, not 2; go on with the same, or give another --output"),
        (["--batch-size", "5"], "begun with --batch-size 4, not 5"),
        (["--shard", "1/2"], 'begun with --shard left out, not "1/2"'),
        (["--dtype", "bfloat16"], 'begun with --dtype "float32", not "bfloat16"'),
        ("input", "in-0.jsonl is not what it was when this was begun ("),
        ("inputs", "begun with 2 input files, not 3"),
        ("vocabulary", "begun with model "),
    ],
)
def test_resume_refuses_other_inputs_another_model_and_other_options(
    command, folder, tmp_path, capsys, change, message
):
    out, own = tmp_path / "out.jsonl", shutil.copytree(folder, tmp_path / "model")
    command = [str(own) if word == str(folder) else word for word in command]
    assert run([*command, "--output", str(out), "--resume"]) == 0
    left = out.read_bytes(), progress_file(out).read_bytes()
    if change == "input":
        (tmp_path / "in-0.jsonl").write_text((tmp_path / "in-0.jsonl").read_text().replace("a", "b"))
    elif change == "inputs":
        (tmp_path / "in-2.jsonl").write_text('{"text": "a"}\n')
    elif change == "vocabulary":
        words = (own / "vocab.txt").read_text().splitlines()
        (own / "vocab.txt").write_text("\n".join([*words[:5], *reversed(words[5:])]) + "\n")
    else:
        if change[0] in command:
            at = command.index(change[0])
            command = command[:at] + command[at + 2 :]
        command += change
    capsys.readouterr()
    assert run([*command, "--output", str(out), "--resume"]) == 2
    assert message in capsys.readouterr().err
    assert (out.read_bytes(), progress_file(out).read_bytes()) == left


def test_resume_refuses_a_file_that_it_did_not_begin(tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("{}\n")
    expected = f"{out}: is there, but not out.jsonl.progress.json: it was not begun with --resume; choose another name"
    with refuses(f"{expected}, or remove it"), resumed(out, MADE, 4):
        pass
    assert out.read_text() == "{}\n"
    out.unlink()
    with resumed(out, MADE, 4) as (count, add):
        assert count == 0
        add(["{}\n", "[]\n"])
    assert json.loads(progress_file(out).read_text()) == {**MADE, "answered": 2, "complete": True}
    out.write_text("{}\n" * 7)
    with (
        refuses(f"{out}: 7 lines, more than the 6 that may have been answered: others were added; remove it to begin "
                "again"),
        resumed(out, MADE, 4),
    ):  # fmt: skip
        pass
    assert out.read_text() == "{}\n" * 7
    progress_file(out).write_text("{")
    with refuses(f"{progress_file(out)}: damaged; remove it and out.jsonl to begin again"), resumed(out, MADE, 4):
        pass


def test_two_processes_do_not_write_one_file(tmp_path):
    out = tmp_path / "out.jsonl"
    with open(out, "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with refuses(f"{out}: another process is writing it; wait for it, or end it"), resumed(out, MADE, 4):
            pass
    assert not progress_file(out).exists()


def test_a_run_without_resume_replaces_one_that_was_begun_with_it(command, whole, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert run([*command, "--output", str(out), "--resume"]) == 0
    assert out.read_bytes() == whole
    assert run([*command, "--output", str(out), "--top-k", "1"]) == 0
    assert not progress_file(out).exists()
    assert run([*command, "--output", str(out), "--resume"]) == 2
    assert "was not begun with --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "IN", "--shard", "a"), "--shard 'a': expected the number of a part and how many there are, as in"),
        (("--input", "IN", "--shard", "0/2"), "--shard 0/2: parts are numbered from 1 to 2"),
        (("--input", "IN", "--shard", "3/2"), "--shard 3/2: parts are numbered from 1 to 2"),
        (("--input", "IN", "--shard", "1/2", "--format", "json"), "an array cannot be put together from parts"),
        (("--input", "-", "--shard", "1/2"), "--shard reads the inputs more than once: give --input FILE"),
        (("a text", "--shard", "1/2"), "--shard reads the inputs more than once: give --input FILE"),
        (("--input", "IN", "--resume"), "--resume goes on with a file: give --output FILE"),
        (("--input", "IN", "--resume", "--output", "a.txt"), "counts the answers by their lines: give --format jsonl"),
        (("--input", "IN", "--resume", "--output", "IN"), "--output is one of the input files"),
        (("--input", "none-*.jsonl", "--resume", "--output", "a.jsonl"), "none-*.jsonl: no such file"),
    ],
)
def test_what_cannot_be_answered_in_parts_is_refused_before_a_model_is_opened(tmp_path, capsys, arguments, message):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "a"}\n')
    assert run(["run", "text-encoding", "nowhere", *(str(path) if a == "IN" else a for a in arguments)]) == 2
    assert message in capsys.readouterr().err


def test_a_file_whose_own_name_has_a_star_is_that_file(tmp_path):
    for name in ("a*.txt", "ab.txt"):
        (tmp_path / name).write_text("a\n")
    assert [file.name for file in input_files(f"{tmp_path}/a*.txt")] == [f"{tmp_path}/a*.txt"]
    assert [file.name for file in input_files(f"{tmp_path}/?b.txt")] == [f"{tmp_path}/ab.txt"]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_is_the_same_byte_for_byte(folder, tmp_path):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS * 400))
    code = "from spago_jax.cli.main import main; main()"
    command = [sys.executable, "-c", code, "run", "text-classification", str(folder), "--input",
               str(tmp_path / "in.jsonl"), "--output"]  # fmt: skip
    out = tmp_path / "out.jsonl"
    process = subprocess.Popen([*command, str(out), "--resume"])
    end = time.monotonic() + 120
    while not (progress_file(out).exists() and progress(out)["answered"] >= 128):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 128 <= out.read_bytes().count(b"\n") < COUNT * 400
    subprocess.run([*command, str(out), "--resume"], check=True)
    subprocess.run([*command, str(tmp_path / "whole.jsonl")], check=True)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert out.read_bytes().count(b"\n") == COUNT * 400
