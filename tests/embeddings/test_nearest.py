"""Near words, judged pairs and analogies. Oracles: plain NumPy; SciPy; figures computed on the same files."""

import json
from pathlib import Path

import numpy as np
import pytest

from spago_jax.cli.main import run
from spago_jax.embeddings.convert_vectors import convert_vectors
from spago_jax.embeddings.evaluate_vectors import read_pairs, score_analogies, score_pairs
from spago_jax.embeddings.nearest import NearestWords
from spago_jax.embeddings.read_vectors import read_word_vectors
from spago_jax.embeddings.store.store import Store
from spago_jax.errors import InputError
from spago_jax.tasks.load import load_task

FILES = Path(__file__).resolve().parent.parent / "data" / "vectors"
COUNTRIES = """5 2
Paris 1 0.1
France 1.1 1
Rome -1 0.1
Italy -0.9 1
cat 0.1 -1
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "v.vec"
    path.write_text(COUNTRIES)
    return path


@pytest.fixture
def store(file, tmp_path):
    convert_vectors(file, tmp_path / "store")
    return tmp_path / "store"


def test_a_store_and_memory_answer_alike(tmp_path):
    draw = np.random.default_rng(0)
    words, matrix = [f"w{n}" for n in range(300)], draw.normal(size=(300, 5)).astype(np.float32)
    lines = "".join(f"{w} {' '.join(map(repr, r.tolist()))}\n" for w, r in zip(words, matrix, strict=True))
    (tmp_path / "v.txt").write_text(lines)
    convert_vectors(tmp_path / "v.txt", tmp_path / "store")
    units = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    for source in (tmp_path / "v.txt", tmp_path / "store"):
        found = NearestWords.open(source)
        cosines = units @ units[7]
        order = [n for n in np.argsort(-cosines) if n != 7][:4]
        assert [word for word, _ in found.nearest("W7", 4)] == [words[n] for n in order]
        np.testing.assert_allclose([c for _, c in found.nearest("w7", 4)], cosines[order], atol=1e-6)
        aim = units[2] - units[1] + units[3]
        order = [n for n in np.argsort(-units @ aim) if n not in (1, 2, 3)][:3]
        assert [word for word, _ in found.analogy("w1", "w2", "w3", 3)] == [words[n] for n in order]
        assert found.similarity("w1", "w2") == pytest.approx(float(units[1] @ units[2]), abs=1e-6)
        with pytest.raises(InputError, match="no vector for 'w30x'; did you mean 'w30'"):
            found.nearest("w30x")


def test_the_task_answers_words_pairs_and_analogies(file, store):
    for source in (file, store):
        task = load_task("word-similarity", source)
        assert task("Paris", top_k=1)[0].word == "France"
        one, pair, answer = task(["Rome", ("Rome", "Rome"), ("Paris", "France", "Rome")], top_k=2)
        assert one.to_dict()["words"] == ["Rome"]
        assert pair.similarity == pytest.approx(1)
        assert answer[0].word == "Italy"
        assert answer.to_text().splitlines()[0].split("\t")[1] == "Italy"
        with pytest.raises(InputError, match="expected a word, or two or three of them"):
            task(("a", "b", "c", "d"))


@pytest.mark.shared_data
def test_scores_are_those_computed_elsewhere(shared_data):
    folder = shared_data / "emb-eval-gensim"
    expected = json.loads((folder / "reference_similarity.json").read_text())["glove-twitter-25d-12k"]
    words = NearestWords.open(shared_data / "emb-glove-twitter-25d-12k" / "glove.twitter.25d.12k.txt")
    for name in ("wordsim353.tsv", "simlex999.txt"):
        found = score_pairs(words, folder / name)
        assert (found.pairs, found.covered) == (expected[name]["pairs"], expected[name]["covered"])
        assert found.spearman == pytest.approx(expected[name]["spearman_cosine"], abs=1e-4)


def test_files_of_judgments_and_analogies(file, tmp_path):
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("word1\tword2\tPOS\tSimLex999\nParis\tFrance\tN\t9.5\ncat\tdog\tN\t5\nRome\tcat\tN\t1\n")
    assert read_pairs(pairs) == [("Paris", "France", 9.5), ("cat", "dog", 5.0), ("Rome", "cat", 1.0)]
    words = NearestWords.open(file)
    found = score_pairs(words, pairs)
    assert (found.pairs, found.covered, found.spearman) == (3, 2, pytest.approx(1))
    pairs.write_text("a,b,1\nc,d\n")
    with pytest.raises(InputError, match=r"pairs.tsv:2: 'c,d', expected two words and a number"):
        read_pairs(pairs)
    questions = tmp_path / "q.txt"
    questions.write_text(": capitals\nParis France Rome Italy\nParis France Rome cat\nParis France Oslo Norway\n")
    scores = score_analogies(words, questions)
    assert (scores.questions, scores.covered, scores.right) == (3, 2, 1)
    assert scores.sections == {"capitals": (2, 1)}


@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.txt", "a"])
def test_vectors_come_back_from_every_format(tmp_path, name):
    out = tmp_path / name
    made = convert_vectors(FILES / "skipgram.bin", out)
    before = read_word_vectors(FILES / "skipgram.bin")
    assert (made.format, made.words, made.broken) == ("fasttext", len(before), 2)
    if out.is_dir():
        with Store.open(out) as store:
            assert [*store.keys()] == before.words
            np.testing.assert_array_equal(store.read(np.arange(len(store))), before.matrix)
            assert store.about["from"].endswith("skipgram.bin")
        return
    after = read_word_vectors(out)
    assert after.words == before.words
    np.testing.assert_array_equal(after.matrix, before.matrix)
    with pytest.raises(InputError, match="the file exists; choose another name"):
        convert_vectors(FILES / "skipgram.bin", out)


def test_only_wanted_words_are_written_unknown_ones_too(tmp_path):
    made = convert_vectors(FILES / "skipgram.bin", tmp_path / "s", vocabulary=["cat", "żółwie", "cat", ""])
    assert made.words == 2
    expected = json.loads((FILES / "expected.json").read_text("utf-8"))["skipgram.bin"]
    with Store.open(tmp_path / "s") as store:
        np.testing.assert_allclose(store["żółwie"], expected["żółwie"], atol=1e-6)
    with pytest.raises(InputError, match="no words to write: give those that are wanted"):
        convert_vectors(FILES / "table.floret", tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_the_commands(file, store, tmp_path, capsys):
    def said(*arguments, code=0):
        assert run(["vectors", *map(str, arguments)]) == code
        out = capsys.readouterr()
        return out.out if code == 0 else out.err

    assert json.loads(said("info", file, "--json"))["words"] == 5
    assert "word2vec" in said("info", file)
    assert json.loads(said("info", store, "--json"))["keys"] == "words"
    assert said("similar", file, "Paris", "--top", "1").split("\t")[1] == "France\n"
    assert said("similar", store, "Paris", "France", "Rome").splitlines()[0].endswith("Italy")
    assert json.loads(said("similar", file, "Rome", "Italy", "--json"))["similarity"] < 1
    (tmp_path / "q.txt").write_text(": capitals\nParis France Rome Italy\n")
    assert "1.0000 right" in said("evaluate", file, tmp_path / "q.txt")
    assert said("convert", file, tmp_path / "o.bin").startswith(f"wrote {tmp_path / 'o.bin'}: 5 words, 2 numbers each")
    assert "did you mean" in said("similar", file, "Pari", code=2)
    assert "--rule lover" in said("similar", file, "Paris", "--rule", "lover", code=2)
    assert "expected one, two or three" in said("similar", file, "a", "b", "c", "d", code=2)
