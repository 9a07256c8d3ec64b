"""Passage search against brute force; a bot that answers questions from a file of passages."""

import json
import shutil

import numpy as np
import pytest
from helpers import refuses
from tiny_pretrained import write_tiny, write_vocabulary

import spago_jax as sj
from spago_jax.errors import InputError
from spago_jax.tasks.passage_search.index import Passage, PassageIndex

PASSAGES = [f"{a} {b} {c}" for a in "abcd" for b in "efgh" for c in "ijk"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An encoder of 8 features, one of 12, and a reader."""
    root = tmp_path_factory.mktemp("models")
    for name, options in {
        "encoder": {"head": "states"}, "wide": {"head": "states", "hidden_size": 12},
        "reader": {"head": "question-answering"},
    }.items():  # fmt: skip
        write_tiny(root / name, **options)
        write_vocabulary(root / name)
    return root


@pytest.fixture(scope="module")
def encoder(folders):
    return sj.load_task("text-encoding", folders / "encoder")


@pytest.fixture
def search(folders):
    found = sj.load_task("passage-search", folders / "encoder")
    found.index(PASSAGES)
    return found


def nearest(encoder, question, count):
    """The cosines of all, sorted, in float64."""
    vectors = encoder(PASSAGES).astype(np.float64)
    vector = encoder(question).astype(np.float64)
    scores = vectors @ vector / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vector)
    order = np.argsort(-scores, kind="stable")[:count]
    return order, scores[order]


def test_exact_search_is_brute_force(search, encoder):
    questions = ["a e", "d", "k j i", "q", "a f j", ""]
    for question, found in zip(questions, search(questions, top_k=7), strict=True):
        _, scores = nearest(encoder, question, 7)
        np.testing.assert_allclose([p.score for p in found], scores, atol=1e-5)
        assert [p.text for p in found] == [PASSAGES[p.number] for p in found]
        assert found.question == question
    (itself,) = search("a f j", top_k=1)
    assert (itself.text, itself.id, itself.score) == ("a f j", str(PASSAGES.index("a f j")), pytest.approx(1, abs=1e-6))
    assert len(search("a", top_k=1000)) == len(PASSAGES)


def test_the_approximate_search_finds_the_same(search, encoder):
    pytest.importorskip("usearch")
    search.index(PASSAGES, backend="usearch")
    for question in ("a e", "d h k"):
        _, scores = nearest(encoder, question, 5)
        np.testing.assert_allclose([p.score for p in search(question)], scores, atol=1e-4)


def test_a_backend_that_is_not_installed_is_named(search, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with refuses("backend 'usearch' needs the package usearch: pip install 'spago_jax[search]'"):
        search.index(PASSAGES, backend="usearch")


def test_passages_of_a_table_are_loaded_beforehand_and_then_only_questions_asked(folders, tmp_path):
    """spaGO's users asked for it: a context file, not a context with every question."""
    path = tmp_path / "docs.csv"
    path.write_text("id,title,text\nx1,First,a e i\nx2,Second,d h k\n", encoding="utf-8")
    search = sj.load_task("passage-search", folders / "encoder", passages=path)
    (found,) = search("d h k", top_k=1)
    assert (found.id, found.title, found.text) == ("x2", "Second", "d h k")
    (tmp_path / "docs.jsonl").write_text('{"body": "a b"}\n')
    index = search.index(tmp_path / "docs.jsonl", text="body")
    assert index.passages == [Passage("a b", "0")]
    (tmp_path / "docs.txt").write_text("a b\n\nc\n")
    assert [p.text for p in search.index(tmp_path / "docs.txt").passages] == ["a b", "c"]


def test_an_index_is_saved_and_opened(search, folders, tmp_path):
    search.save(tmp_path / "index")
    again = sj.load_task("passage-search", folders / "encoder", passages=tmp_path / "index")
    assert again("a e").passages == search("a e").passages
    with refuses(f"{tmp_path / 'index'}: the folder exists; choose another one, or replace it with --overwrite"):
        search.save(tmp_path / "index")
    (tmp_path / "mine").write_text("not an index")
    with refuses(f"{tmp_path}: the folder holds other things than an index; choose another one"):
        search.save(tmp_path, overwrite=True)
    search.save(tmp_path / "index", overwrite=True)
    other = sj.load_task("passage-search", folders / "wide")
    made = f"its vectors have 8 numbers and were made by '{folders / 'encoder'}'"
    with refuses(f"{tmp_path / 'index'}: {made}; this encoder's have 12"):
        other.load(tmp_path / "index")


@pytest.mark.parametrize("file", ["index.json", "vectors.npy", "passages.jsonl"])
@pytest.mark.parametrize("damage", ["gone", "cut", "other"])
def test_a_damaged_index_is_refused(search, tmp_path, file, damage):
    search.save(tmp_path / "whole")
    folder = tmp_path / "index"
    shutil.copytree(tmp_path / "whole", folder)
    if damage == "gone":
        (folder / file).unlink()
    elif damage == "cut":
        (folder / file).write_bytes((folder / file).read_bytes()[:-9])
    else:
        (folder / file).write_bytes(b"[1, 2]\n")
    with pytest.raises(InputError, match="not an index of passages|no such file"):
        PassageIndex.open(folder)


def test_a_bot_in_five_lines(folders, tmp_path, monkeypatch, capsys):
    """spaGO's users asked for it."""
    (tmp_path / "docs.csv").write_text("text,title\na e i,First\nd h k,Second\n")
    questions = iter(["d h k", "a", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(questions))
    encoder, reader, passages = folders / "encoder", folders / "reader", tmp_path / "docs.csv"
    bot = sj.load_task("passage-search", encoder, passages=passages, reader=reader)
    while question := input("? "):
        for answer in bot.answer(question, top_k=1):
            print(answer.text, answer.passage.title)
    lines = [line.rsplit(" ", 1) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2
    texts = {"First": "a e i", "Second": "d h k"}
    assert all(text in texts[title] for text, title in lines)


def test_the_answers_of_a_bot_are_the_readers_times_the_share_of_their_passage(folders, search):
    search.reader = sj.load_task("question-answering", folders / "reader")
    found = search("a b c", top_k=3)
    shares = np.exp(20 * np.array([passage.score for passage in found]))
    shares /= shares.sum()
    expected = sorted(
        (span.score * share, span.text)
        for passage, share in zip(found, shares, strict=True)
        for span in search.reader("a b c", passage.text, top_k=2)
    )[::-1][:2]
    answers = search.answer("a b c", top_k=2, passages=3)
    np.testing.assert_allclose([answer.score for answer in answers], [score for score, _ in expected], rtol=1e-5)
    assert all(answer.passage.text[answer.start : answer.end] == answer.text for answer in answers)


def test_bad_input(search, folders, tmp_path):
    with refuses("no model of question answering: open the task with reader=FOLDER"):
        search.answer("a")
    with refuses("there are no passages to search"):
        search.index([])
    with refuses("passage 1 is a int, expected a text"):
        search.index(["a", 3])
    with refuses("no passages yet: call index(PASSAGES) or load(FOLDER) first"):
        sj.load_task("passage-search", folders / "encoder")("a")
    (tmp_path / "docs.csv").write_text("body\na\n")
    with pytest.raises(InputError, match="text"):
        search.index(tmp_path / "docs.csv")
    (tmp_path / "docs.jsonl").write_text(json.dumps({"text": 3}) + "\n")
    with pytest.raises(InputError, match="expected a text"):
        search.index(tmp_path / "docs.jsonl")


def test_the_command_searches_a_file(folders, tmp_path, capsys):
    from spago_jax.cli.main import run

    (tmp_path / "docs.csv").write_text("text,id\na e i,one\nd h k,two\n")
    command = [
        "run",
        "passage-search",
        str(folders / "encoder"),
        "--passages",
        str(tmp_path / "docs.csv"),
        "--top-k",
        "1",
    ]
    assert run([*command, "d h k"]) == 0
    assert capsys.readouterr().out.split("\t")[1:] == ["two", "d h k\n"]
    (tmp_path / "asked.jsonl").write_text('{"question": "a e i"}\n')
    assert run([*command, "--input", str(tmp_path / "asked.jsonl"), "--format", "jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["passages"][0]["id"] == "one"
