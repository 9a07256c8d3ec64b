"""Words that nobody gave a model, read by their n-grams. Oracle: numbers of fastText, floret and gensim themselves."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from helpers import exported_answers

import spago_jax as sj
from spago_jax.data.lexicon import LexiconBuilder
from spago_jax.embeddings.coverage import coverage
from spago_jax.embeddings.stacked import extend
from spago_jax.embeddings.word_index import WordIndexer
from spago_jax.embeddings.words import Words
from spago_jax.errors import InputError
from spago_jax.tasks.export import export_run
from spago_jax.tasks.load import open_run
from spago_jax.train import fit, load_experiment
from spago_jax.train.console import TrainingConsole

FILES = Path(__file__).resolve().parent.parent / "data" / "vectors"
EXPECTED = json.loads((FILES / "expected.json").read_text("utf-8"))
UNSEEN = ("żółwie", "강아지와")  # which no file has


def lexicon(*forms):
    builder = LexiconBuilder()
    builder.encode(list(forms))
    return builder.build()


def config_of(name):
    values = EXPECTED.get(name) or EXPECTED["gensim"]
    size = len(next(iter(values.values())))
    return Words(kind="words", size=size, vectors=str(FILES / name), subwords=True, trainable=False)


@pytest.mark.parametrize("name", ["skipgram.bin", "table.floret", "fasttext.kv"])
def test_words_that_nobody_gave_have_the_vectors_of_their_parts(name, tmp_path):
    config, found = config_of(name), lexicon("cat", "wolno")
    indexer = config.fit("words", found)
    module = config.from_data(config.init(jax.random.key(0), indexer), indexer, found)
    assert isinstance(indexer, WordIndexer)
    assert indexer.word(UNSEEN[0]) is None
    indexer.save(tmp_path)
    loaded = WordIndexer.load(tmp_path, "words")
    assert isinstance(loaded.parts.rows, np.memmap)  # pyright: ignore[reportOptionalMemberAccess]
    assert (tmp_path / "words.ngrams.npy").stat().st_size == 128 + loaded.kept_bytes == 128 + indexer.kept_bytes
    words = ["cat", *UNSEEN, "wolno"]
    held = lexicon(*words)
    expected = [EXPECTED[name][word] for word in words]
    for each in (indexer, loaded, loaded.extended(lexicon("cat"))):
        arrays = each.arrays(each.tables(held), np.array([[0, 1, 2, 3, -1]]), 5)
        assert set(arrays) == set(each.specs())
        vectors = np.asarray(module(arrays))
        atol = 2e-5 if name.endswith("floret") else 1e-6  # its text has five digits
        np.testing.assert_allclose(vectors[0, :4], expected, atol=atol)
        assert not vectors[0, 4].any()
    tokens, _ = coverage(indexer, held) or (None, None)
    assert tokens is not None
    assert tokens.none == 0
    assert tokens.parts >= 2
    settings = tmp_path / "words.ngrams.json"
    settings.write_text("{}")
    with pytest.raises(InputError, match="the assets cannot be read"):
        WordIndexer.load(tmp_path, "words")


def test_a_file_without_parts_is_refused_before_work(tmp_path):
    (tmp_path / "v.txt").write_text("the 1 2\n")
    config = Words(kind="words", size=2, vectors=str(tmp_path / "v.txt"), subwords=True)
    with pytest.raises(InputError, match="subwords: glove has no vectors of n-grams; take a file of fastText"):
        config.check("model.embeddings.0")
    with pytest.raises(InputError, match=r"model.embeddings.0.subwords needs model.embeddings.0.vectors"):
        Words(kind="words", subwords=True).check("model.embeddings.0")
    for name in ("words-alone.bin", "small.kv"):
        words = config_of(name)
        with pytest.raises(InputError, match="these vectors have none of n-grams"):
            words.fit("words", lexicon("cat"))


def test_a_start_from_a_run_without_parts_takes_those_of_the_file():
    """And one that has them keeps them."""
    plain = WordIndexer.fit("words", lexicon("cat"))
    (found,) = extend([config_of("skipgram.bin")], [plain], lexicon("dog"))
    assert isinstance(found, WordIndexer)
    assert found.parts is not None
    (again,) = extend([Words(kind="words", size=6)], [found], lexicon("dog"))
    assert isinstance(again, WordIndexer)
    assert again.parts is found.parts


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """A run whose file of vectors is gone, and the vectors that its embeddings are to give."""
    folder = tmp_path_factory.mktemp("parts")
    shutil.copy(FILES / "skipgram.bin", folder / "v.bin")
    embeddings = f"model.embeddings=[{{kind: words, size: 6, vectors: {folder}/v.bin, subwords: true}}]"
    experiment = load_experiment(corpus / "tiny.yaml", [embeddings, "train.epochs=1", "model.encoder=null"])
    said: list[str] = []
    console = TrainingConsole(quiet=True)
    console.line = said.append  # pyright: ignore[reportAttributeAccessIssue]
    fit(experiment, folder / "run", console=console)
    (folder / "v.bin").unlink()
    return folder / "run", said


def test_a_run_keeps_the_rows_of_parts_and_tells_their_size(trained):
    run, said = trained
    assert (run / "assets" / "words.ngrams.npy").is_file()
    (line,) = [line for line in said if line.startswith("the run folder takes about")]
    assert "words: rows of n-grams" in line
    assert "checkpoints" in line


def answers(folder) -> Any:
    tag: Any = sj.load_task("token-classification", folder)
    return tag([[word] for word in UNSEEN])


def test_a_trained_tagger_tells_unseen_words_apart(trained):
    first, second = answers(trained[0])
    assert first.scores[0] != pytest.approx(second.scores[0], abs=1e-7)


@pytest.mark.slow
def test_an_exported_tagger_tells_unseen_words_apart(trained, tmp_path):
    run, _ = trained
    first, second = answers(run)
    export_run(open_run(run), tmp_path / "shipped")
    for answer, again in zip((first, second), answers(tmp_path / "shipped"), strict=True):
        np.testing.assert_allclose(again.scores, answer.scores, atol=1e-5)
    given = [[word] for word in UNSEEN]
    found = exported_answers(tmp_path / "shipped", given)
    np.testing.assert_allclose([each["scores"] for each in found], [first.scores, second.scores], atol=1e-5)


def test_a_full_disk_is_told_before_work(corpus, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(InputError, match="the run takes .*, and its disk has 1000 B free: free some, or choose"):
        fit(load_experiment(corpus / "tiny.yaml"), tmp_path / "run", console=TrainingConsole(quiet=True))
    assert not (tmp_path / "run").exists()
