"""`spago-jax import`: what it finds, reports and writes, and what it says about bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_pretrained import write_tiny, write_vocabulary

from spago_jax.cli.main import run
from spago_jax.compiler.ship.safetensors import write_safetensors
from spago_jax.interop.huggingface import load_pretrained

LABELS = {"0": "no", "1": "maybe", "2": "yes"}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    folder = tmp_path / "tiny"
    tensors = write_tiny(folder, head="sequence-classification", id2label=LABELS)
    write_safetensors(folder / "model.safetensors", {**tensors, "extra": np.ones(2)})
    write_vocabulary(folder)
    return folder


def says(capsys, code, *arguments):
    assert run(["import", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out if code == 0 else err


def test_a_report_is_a_table(tiny, capsys):
    rows = dict(line.split(None, 1) for line in says(capsys, 0, tiny).splitlines())
    assert rows["model"] == str(tiny)
    assert rows["architecture"] == "bert"
    assert rows["head"] == "sequence-classification"
    assert rows["labels"] == "3: no, maybe, yes"
    assert rows["tensors"] == "41"
    assert rows["tokenizer"] == "23 pieces, any length"
    assert rows["surplus"] == "1: extra"
    assert rows["missing"] == rows["pooling"] == "none"
    assert "KiB" in rows["bytes"]
    assert "written" not in rows


def test_a_report_is_json(tiny, tmp_path, capsys):
    facts = json.loads(says(capsys, 0, tiny, tmp_path / "new", "--json"))
    assert facts["labels"] == ["no", "maybe", "yes"]
    assert facts["bytes"] == 4 * facts["parameters"]
    assert facts["tokenizer"] == {"size": 23, "max_length": None}
    assert (facts["surplus"], facts["missing"], facts["untied"]) == (["extra"], [], [])
    assert facts["written"] == str(tmp_path / "new")


def test_a_folder_is_written_and_replaced_only_if_asked_for(tiny, tmp_path, capsys):
    new = tmp_path / "new"
    says(capsys, 0, tiny, new)
    assert load_pretrained(new).labels == ("no", "maybe", "yes")
    assert (new / "vocab.txt").read_bytes() == (tiny / "vocab.txt").read_bytes()
    before = {path.name: path.stat().st_mtime_ns for path in new.iterdir()}
    assert "replace it with --overwrite" in says(capsys, 2, tiny, new)
    assert {path.name: path.stat().st_mtime_ns for path in new.iterdir()} == before
    says(capsys, 0, tiny, new, "--overwrite")
    assert "other things than a model" in says(capsys, 2, tiny, tmp_path, "--overwrite")


def test_another_head_starts_at_random_if_that_is_allowed(tiny, capsys):
    assert "qa_outputs.weight, qa_outputs.bias" in says(capsys, 2, tiny, "--head", "question-answering")
    out = says(capsys, 0, tiny, "--head", "question-answering", "--allow-missing", "qa_outputs.*")
    assert "missing       2: head.output.weight, head.output.bias" in out
    assert "did you mean 'token-classification'" in says(capsys, 2, tiny, "--head", "token-clasification")


def test_a_name_in_the_cache_is_found(tiny, tmp_path, capsys):
    base = tmp_path / "home/hub/models--org--tiny"
    (base / "refs").mkdir(parents=True)
    (base / "refs/v1").write_text("abc")
    (base / "snapshots").mkdir()
    (base / "snapshots/abc").symlink_to(tiny)
    assert "snapshots/abc" in says(capsys, 0, "org/tiny", "--revision", "v1", "--download", "missing")
    assert "download it with download='missing' (--download missing)" in says(capsys, 2, "org/tiny")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("config.json", b"{", "config.json:1: not JSON"),
        ("model.safetensors", b"", "empty"),
        ("model.safetensors", b"x" * 100, "truncated"),
        ("vocab.txt", b"\xff\xfe", "vocab.txt"),
        ("tokenizer_config.json", b"[]", "tokenizer_config.json"),
        ("generation_config.json", b"[]", "generation_config.json: holds a list"),
        ("modules.json", b"{}", "modules.json: expected a list"),
    ],
)
def test_a_damaged_file_is_one_message_and_writes_nothing(tiny, tmp_path, capsys, file, content, words):
    (tiny / file).write_bytes(content)
    before = sorted(tmp_path.iterdir())
    *progress, message = says(capsys, 2, tiny, tmp_path / "new").splitlines()
    assert words in message
    assert all(line.startswith(f"spago-jax: reading {tiny}, ") for line in progress)
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_file_or_folder_is_one_message(tiny, tmp_path, capsys):
    assert "no such folder" in says(capsys, 2, tmp_path / "nothing")
    (tiny / "model.safetensors").rename(tiny / "weights.safetensors")
    assert "lacks model.safetensors" in says(capsys, 2, tiny)


def test_a_policy_that_is_not_known_is_a_usage_error(tiny, capsys):
    assert "'never', 'missing', 'always'" in says(capsys, 2, tiny, "--download", "sometimes")


def test_an_import_says_what_it_does_and_can_be_interrupted(tiny, tmp_path, capsys, monkeypatch):
    """spaGO's users asked for it: a long import shows progress, and Ctrl-C leaves nothing half-written."""
    from spago_jax.interop.huggingface import pretrained

    assert run(["import", str(tiny), str(tmp_path / "new")]) == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in said] == [
        f"spago-jax: reading {tiny}", f"spago-jax: writing {tmp_path / 'new'}"
    ]  # fmt: skip
    before = sorted(tmp_path.rglob("*"))

    def interrupted(path, *arguments):
        Path(path).write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrained, "write_safetensors", interrupted)
    assert run(["import", str(tiny), str(tmp_path / "other")]) == 130
    assert run(["import", str(tiny), str(tmp_path / "new"), "--overwrite"]) == 130
    assert sorted(tmp_path.rglob("*")) == before
    assert load_pretrained(tmp_path / "new").labels == ("no", "maybe", "yes")
