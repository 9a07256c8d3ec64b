"""`spago-jax tokenizer`: what it writes, what it shows, and what it refuses."""

import json

import pytest

from spago_jax.cli.main import run
from spago_jax.text.tokenizers import load_tokenizer


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("the cat sat\nthe mats 😀\n" * 9, "utf-8")
    return path


def train(texts, folder, *more):
    options = ["--kind", "wordpiece", "--size", "40", "--output", str(folder), *more]
    return run(["tokenizer", "train", str(texts), *options])


def test_train_and_show(texts, tmp_path, capsys):
    folder = tmp_path / "new" / "tok"
    assert train(texts, folder, "--lowercase", "--max-length", "32") == 0
    assert capsys.readouterr().out.startswith(f"wrote {folder}: ")
    assert sorted(path.name for path in folder.iterdir()) == ["tokenizer.json", "tokenizer_config.json"]
    assert [path.name for path in folder.parent.iterdir()] == ["tok"]  # nothing else is left there
    tokenizer = load_tokenizer(folder)
    assert tokenizer.max_length == 32
    assert run(["tokenizer", "show", str(folder), "The 😀 mats", "cat", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = tokenizer.encode("The 😀 mats")
    assert rows[0]["ids"] == expected.ids
    assert rows[0]["offsets"] == [list(span) for span in expected.offsets]
    assert rows[1]["tokens"] == ["[CLS]", "cat", "[SEP]"]
    assert run(["tokenizer", "show", str(folder), "The 😀"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["token", "id", "place", "text", "word"]
    assert lines[2].split() == ["the", str(tokenizer.id("the")), "0:3", "The", "0"]


def test_show_says_what_it_is(texts, tmp_path, capsys):
    assert train(texts, tmp_path / "tok") == 0
    size = load_tokenizer(tmp_path / "tok").size
    capsys.readouterr()
    assert run(["tokenizer", "show", str(tmp_path / "tok")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["size", str(size)]
    assert ["mask", "[MASK]", "4"] in lines
    assert run(["tokenizer", "show", str(tmp_path / "tok"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["special"]["mask"] == 4


def test_nothing_is_overwritten_unless_asked(texts, tmp_path, capsys):
    folder = tmp_path / "tok"
    assert train(texts, folder) == 0
    before = (folder / "tokenizer.json").read_bytes()
    assert train(texts, folder, "--lowercase") == 2
    assert "the folder exists; choose another one, or replace it with --overwrite" in capsys.readouterr().err
    assert (folder / "tokenizer.json").read_bytes() == before
    assert train(texts, folder, "--lowercase", "--overwrite") == 0
    assert (folder / "tokenizer.json").read_bytes() != before
    (folder / "model.safetensors").touch()
    assert train(texts, folder, "--overwrite") == 2
    assert "holds 'model.safetensors', which is not a tokenizer's; choose another one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.txt"], "no such file"),
        (["bad.txt"], "bad.txt:2: not UTF-8"),
        (["blank.txt"], "no text to learn from"),
        (["texts.txt", "--size", "3"], "size: 3, expected 6 or more"),
        (["texts.txt", "--output", "texts.txt"], "exists and is not a folder"),
    ],
)
def test_bad_input_leaves_nothing_behind(texts, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.txt").write_bytes(b"fine\n\xff\n")
    (tmp_path / "blank.txt").write_text("\n \n")
    before = sorted(path.name for path in tmp_path.iterdir())
    given = {"--kind": "wordpiece", "--size": "40", "--output": "tok"}
    given |= dict(zip(arguments[1::2], arguments[2::2], strict=True))
    assert run(["tokenizer", "train", arguments[0], *(word for pair in given.items() for word in pair)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
