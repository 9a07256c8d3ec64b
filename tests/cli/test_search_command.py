"""`spago-jax search`: passages of Python's documentation, encoded once. A tiny random encoder stands for MiniLM."""

import json

import numpy as np
import pytest
from subwords import wordpiece_folder
from tiny_pretrained import write_tiny

from spago_jax.cli.main import run
from spago_jax.tasks.passage_search import python_docs
from spago_jax.tasks.passage_search.index import Passage
from spago_jax.tasks.text_encoding.predictor import TextEncoding


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_tiny(tmp_path / "encoder", "bert", "states", max_position_embeddings=64)
    return str(wordpiece_folder(tmp_path / "encoder"))


def test_passages_are_encoded_once_and_then_only_questions(encoder, monkeypatch, capsys):
    passages = [Passage("cat.sit: the cat sat on the mat", "cat.sit"), Passage("mat: on the mat!", "mat")]
    monkeypatch.setattr(python_docs, "python_passages", lambda: iter(passages))
    assert run(["search", "the cats sat", "on the mat", "--model", encoder, "--top-k", "1", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert "encoding 2 passages of Python's documentation" in err
    encode = TextEncoding.open(encoder)
    vectors = encode([passage.text for passage in passages], normalize=True)
    for line, question in zip(out.splitlines(), ("the cats sat", "on the mat"), strict=True):
        scores = vectors @ encode(question, normalize=True)
        (found,) = json.loads(line)["passages"]
        assert found["id"] == passages[int(np.argmax(scores))].id
        assert found["score"] == pytest.approx(scores.max(), abs=1e-5)
    monkeypatch.setattr(python_docs, "python_passages", lambda: pytest.fail("they are kept"))
    assert run(["search", "mat", "--model", encoder]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out.splitlines()) == 4  # a line for the place and one for the text
    assert run(["search", " ", "--model", encoder]) == 2
    assert "the question ' ' is empty" in capsys.readouterr().err


def test_the_passages_are_those_of_the_standard_library(monkeypatch):
    kept = frozenset(["random", "json", "math", "this", "no_such_module"])
    monkeypatch.setattr(python_docs.sys, "stdlib_module_names", kept)
    found = {passage.id: passage.text for passage in python_docs.python_passages()}
    assert found["random.Random.shuffle"].startswith("random.Random.shuffle: Shuffle list x in place")
    assert found["sorted"].startswith("sorted: Return a new list containing all items")
    assert "str.join" in found
    assert "math.sqrt" in found
    assert "json.dumps" in found
    assert not any(name.startswith("this") for name in found)
    assert not any(part.startswith("_") for name in found for part in name.split("."))
